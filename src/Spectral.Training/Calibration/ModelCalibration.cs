using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Calibration;

/// <summary>Runs a frozen model on some records and collects statistics of its linear layers.</summary>
/// <remarks>
/// Gradients are those of the mean loss over a batch's loss tokens, averaged over batches. Padding is ignored.
/// <see cref="MemoryBudget"/> bounds what is collected at a time: layers are processed in model order, and when their
/// sums fill the budget (at least one layer), the records are run again for the next layers. A 7B model, whose
/// gradients take 28 GB, needs seven passes. Activations are checkpointed. The number of passes does not change a bit
/// of the results. The same model, records and batch size on the same device give the same results.
/// </remarks>
/// <example>
/// <code>
/// ModelCalibration calibration = new(model, records, batch: 8);
/// AdapterOptions options = new() { Rank = 8 };
/// using var adapter = Adapter.Attach(model, AdapterMethods.Find("eva"), options, calibration);
/// </code>
/// </example>
public sealed class ModelCalibration : ICalibration
{
    private const int PaddingToken = 0;

    private readonly CausalLanguageModel _model;
    private readonly EncodedRecord[][] _batches;
    private readonly Dictionary<
        (SiblingLinears Siblings, double Similarity, bool Labelled),
        (int Count, InputDirections Found)
    > _directions = [];
    private TokenRows? _rows;

    /// <summary>Prepares to calibrate on all of the given records.</summary>
    /// <param name="model">A model with frozen weights. It must not have an adapter when results are requested.</param>
    /// <param name="records">The records to calibrate on.</param>
    /// <param name="batch">The number of records in a batch.</param>
    /// <exception cref="InputException">There are no records.</exception>
    public ModelCalibration(CausalLanguageModel model, IReadOnlyList<EncodedRecord> records, int batch = 8)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        if (records.Count == 0)
            throw new InputException("there are no calibration records");
        (_model, _batches) = (model, [.. records.Chunk(batch)]);
    }

    /// <summary>Prepares to calibrate on the records that a training run sees first, in its batches.</summary>
    /// <param name="model">A model with frozen weights. It must not have an adapter when results are requested.</param>
    /// <param name="data">The run's records.</param>
    /// <param name="options">The settings of the run: batch size, seed and shuffling are used.</param>
    /// <param name="records">The number of records; all, if there are fewer.</param>
    /// <param name="ranks">The processes that calibrate together; null: this one alone.</param>
    /// <exception cref="InputException">There are no records.</exception>
    public static ModelCalibration OfTraining(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> data,
        TrainerOptions options,
        int records,
        RankGroup? ranks = null
    )
    {
        if (data.Count == 0)
            throw new InputException("there are no training records");
        // The first records of the first epoch. How a step splits them into batches does not matter here.
        int[] first = new BatchSampler(data.Count, Math.Min(records, data.Count), options.Seed, options.Shuffle).Next();
        return new ModelCalibration(model, [.. first.Select(index => data[index])], options.Batch)
        {
            Ranks = ranks ?? RankGroup.Alone,
        };
    }

    /// <summary>
    /// The number of bytes of device memory for sums that are collected together. At least one layer's are.
    /// </summary>
    public long MemoryBudget { get; init; } = 4L << 30;

    /// <summary>
    /// The processes that share the batches of whatever is a sum over them. All need the same model and records, and
    /// get the same results. Input directions, which are found batch after batch, are shared by layers.
    /// </summary>
    public RankGroup Ranks { get; init; } = RankGroup.Alone;

    /// <inheritdoc/>
    public IEnumerable<Tensor> Gradients(IReadOnlyList<string> modules) =>
        Sums(
            Find(modules),
            linear => linear,
            linear => (linear.Out, linear.In),
            backward: true,
            (siblings, sums) =>
                new GradientObserver([.. siblings.Layers.Select(layer => sums.GetValueOrDefault(layer))])
        );

    /// <summary>
    /// Computes Σ G∘G [out, in] F32 of each layer in order, where G is the gradient of one batch's mean loss, divided
    /// by the number of batches, and the sum is over batches.
    /// </summary>
    /// <exception cref="InputException">The model has no such layer, or its loss is not finite.</exception>
    internal IEnumerable<Tensor> SquaredGradients(IReadOnlyList<string> modules) =>
        Sums(
            Find(modules),
            linear => linear,
            linear => (linear.Out, linear.In),
            backward: true,
            (siblings, sums) =>
                new SquaredGradientObserver([.. siblings.Layers.Select(layer => sums.GetValueOrDefault(layer))])
        );

    /// <summary>
    /// Computes the mean over all tokens of the hidden state after each decoder layer, [hidden size] per layer, summed
    /// in F64 on the host.
    /// </summary>
    /// <exception cref="InputException">A hidden state is not finite.</exception>
    internal double[][] HiddenMeans()
    {
        int size = _model.Config.HiddenSize;
        double[][] means = [.. Enumerable.Range(0, _model.Config.Layers).Select(_ => new double[size])];
        long tokens = 0;
        _model.AfterLayer = (layer, hidden) =>
        {
            tokens += layer == 0 ? _rows!.Count : 0;
            using var rows = Tensor.Empty(hidden.Device, (_rows!.Count, size), hidden.DType);
            Rows.Gather(hidden, _rows.Index, rows);
            float[] values = rows.ToArray();
            for (int i = 0; i < values.Length; i++)
                means[layer][i % size] += values[i];
        };
        try
        {
            Run([], [], backward: false, all => all);
        }
        finally
        {
            _model.AfterLayer = null;
        }
        int odd = Array.FindIndex(means, sums => !Array.TrueForAll(sums, double.IsFinite));
        if (odd >= 0)
            throw new InputException($"calibration: the hidden states after decoder layer {odd} are not finite");
        return [.. means.Select(sums => Array.ConvertAll(sums, sum => sum / tokens))];
    }

    /// <inheritdoc/>
    public IEnumerable<Tensor> InputSecondMoments(IReadOnlyList<string> modules)
    {
        double factor = 1.0 / _batches.Sum(batch => batch.Length);
        return Sums(
            Find(modules),
            linear => linear.Siblings,
            linear => (linear.In, linear.In),
            backward: false,
            (siblings, sums) => new SecondMomentObserver(siblings.Layers[0].Name, sums[siblings], factor, () => _rows!)
        );
    }

    /// <summary>
    /// Computes XᵀX [in, in] F32 of each layer in order, where X [tokens, in] is the layer's input on all records.
    /// </summary>
    /// <exception cref="InputException">The model has no such layer.</exception>
    internal IEnumerable<Tensor> InputProducts(IReadOnlyList<string> modules) =>
        Sums(
            Find(modules),
            linear => linear.Siblings,
            linear => (linear.In, linear.In),
            backward: false,
            (siblings, sums) => new InputProductObserver(sums[siblings], () => _rows!)
        );

    /// <inheritdoc/>
    public IReadOnlyList<InputDirections> InputDirections(
        IReadOnlyList<string> modules,
        int count,
        double similarity = 0.99,
        bool labelled = false
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Linear[] linears = Find(modules);
        SiblingLinears[] inputs = linears
            .Select(linear => linear.Siblings)
            .Distinct()
            .Where(siblings => _directions.GetValueOrDefault((siblings, similarity, labelled)).Count < count)
            .ToArray(); // a result with more directions can be used too
        if (inputs.Length > 0)
        {
            // A rank finds those of every Nth input, in all batches, with the bits that one process finds.
            SiblingLinears[] own = [.. inputs.Where((_, i) => i % Ranks.Count == Ranks.Rank)];
            IncrementalPca[] observers =
            [
                .. own.Select(siblings => new IncrementalPca(
                    siblings.Layers[0].Name,
                    siblings.Layers[0].In,
                    count,
                    similarity,
                    () => labelled ? _rows!.Labelled : _rows!.Index
                )),
            ];
            Run(
                own,
                observers,
                backward: false,
                all => all,
                () => Array.TrueForAll(observers, observer => observer.Converged)
            );
            for (int i = 0; i < inputs.Length; i++)
            {
                (int place, int rank) = Math.DivRem(i, Ranks.Count);
                InputDirections? mine = rank == Ranks.Rank ? observers[place].Result() : null;
                InputDirections found = SharedDirections.Of(Ranks, mine, inputs[i].Layers[0].In);
                _directions[(inputs[i], similarity, labelled)] = (count, found);
            }
        }
        return [.. linears.Select(linear => _directions[(linear.Siblings, similarity, labelled)].Found)];
    }

    /// <summary>
    /// Sums a matrix per layer, or per set of siblings, over all batches, for as many layers at a time as the budget
    /// allows.
    /// </summary>
    private IEnumerable<Tensor> Sums(
        IEnumerable<Linear> linears,
        Func<Linear, object> key,
        Func<Linear, Shape> shape,
        bool backward,
        Func<SiblingLinears, IReadOnlyDictionary<object, Tensor>, LinearObserver> observe
    )
    {
        for (var rest = new Queue<Linear>(linears); rest.Count > 0; )
        {
            (List<Linear> part, Dictionary<object, Tensor> sums, long bytes) = (
                new List<Linear>(),
                new Dictionary<object, Tensor>(),
                0L
            );
            try
            {
                for (; rest.TryPeek(out Linear? next); part.Add(rest.Dequeue()))
                {
                    if (sums.ContainsKey(key(next)))
                        continue;
                    bytes += shape(next).Count * sizeof(float);
                    if (bytes > MemoryBudget && part.Count > 0)
                        break;
                    sums.Add(key(next), Tensor.Zeros(_model.Device, shape(next)));
                }
                SiblingLinears[] inputs = [.. part.Select(linear => linear.Siblings).Distinct()];
                Run(inputs, [.. inputs.Select(siblings => observe(siblings, sums))], backward, Ranks.Share);
                Ranks.Sum([.. sums.Values]);
                foreach (Linear linear in part)
                    yield return sums[key(linear)].Share();
            }
            finally
            {
                foreach (Tensor sum in sums.Values)
                    sum.Dispose();
            }
        }
    }

    private delegate ReadOnlySpan<EncodedRecord[]> Choice(ReadOnlySpan<EncodedRecord[]> batches);

    private void Run(
        SiblingLinears[] inputs,
        LinearObserver[] observers,
        bool backward,
        Choice choose,
        Func<bool>? done = null
    )
    {
        if (_model.Trainable is not null)
            throw new InvalidOperationException("calibration needs a model with frozen weights and no adapter");
        try
        {
            foreach ((SiblingLinears siblings, LinearObserver observer) in inputs.Zip(observers))
                siblings.Observer = observer;
            foreach (EncodedRecord[] records in choose(_batches))
            {
                if (done is not null && done())
                    break;
                Run(records, backward);
            }
        }
        finally
        {
            foreach (SiblingLinears siblings in inputs)
                siblings.Observer = null;
        }
    }

    private void Run(EncodedRecord[] records, bool backward)
    {
        var batch = Batch.Create(records, PaddingToken);
        using var tensors = new BatchTensors(_model.Device, batch);
        using TokenRows rows = _rows = new TokenRows(_model.Device, records, batch.Length);
        using var tape = new Tape(_model.Device, records: backward);
        if (!backward)
        {
            using Variable hidden = _model.Hidden(tape, tensors);
            return;
        }
        using Tensor loss = _model.Loss(
            tape,
            tensors,
            1f / ((float)Math.Max(1, batch.LossTokens) * _batches.Length),
            checkpoint: true
        );
        if (!float.IsFinite(loss.ToArray()[0]))
            throw new InputException("calibration: the model's loss on the calibration records is not a finite number");
        tape.Backward();
    }

    private Linear[] Find(IReadOnlyList<string> modules)
    {
        var byName = _model.Linears.ToDictionary(linear => linear.Name);
        return [.. modules.Select(Found)];

        Linear Found(string name) =>
            byName.GetValueOrDefault(name) switch
            {
                null => throw new InputException($"calibration: the model has no linear layer {name}"),
                { Siblings.ReadsAllTokens: false } => throw new InputException(
                    $"calibration: {name} belongs to an expert, which sees only some of the tokens; expected layers "
                        + "that see all of them"
                ),
                { } linear => linear,
            };
    }
}
