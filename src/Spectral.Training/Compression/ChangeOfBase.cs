using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Packing;

namespace Spectral.Training.Compression;

/// <summary>
/// The change that tuning made to a base: dense changes of the linear weights of all blocks, which a method packs, and
/// other tensors, which the result has whole. The result is an adapter folder. One dense change at a time is in memory,
/// and all that is packed.
/// </summary>
internal sealed class ChangeOfBase : IDisposable
{
    private readonly CompressionRun _run;
    private readonly ModelFolder _model;
    private readonly MergeSource _tuned;
    private readonly List<(LinearSpec Layer, int Rank)> _changed = [];
    private readonly List<PackedTensor> _packed = [];
    private readonly List<CompressedLayer> _layers = [];
    private (double Lost, double All) _squares;
    private CalibratedLosses? _calibrated;

    /// <summary>Opens the input, an adapter or a checkpoint of the base.</summary>
    /// <exception cref="InputException">It is neither, is malformed, or is of another base.</exception>
    public ChangeOfBase(CompressionRun run)
    {
        (_run, _model) = (run, run.Model!);
        _tuned = MergeSource.Open(_model, run.Input, run.Device);
    }

    /// <summary>
    /// Returns the changes [out, in] of all linear weights that differ from the base's, in model order.
    /// </summary>
    /// <exception cref="InputException">A value is not finite, or a weight is too large for an array.</exception>
    public IEnumerable<(LinearSpec Layer, float[] Change)> Linears()
    {
        LinearSpec[] all = [.. ModelTensors.Linears(_model.Config)];
        for (int i = 0; i < all.Length; i++)
        {
            _run.Cancellation.ThrowIfCancellationRequested();
            if (ChangeOf(all[i].Weight) is { } change)
                yield return (all[i], change);
            _run.Progress?.Invoke(new CompressionProgress(i + 1, all.Length, all[i].Name));
        }
    }

    /// <summary>Loads the tuned model, frozen and in F32. The caller disposes it.</summary>
    public CausalLanguageModel Tuned() =>
        CausalLanguageModel.Of(
            _tuned.Parts ? _model.Config with { TieWordEmbeddings = false } : _model.Config,
            _run.Device,
            trainWeights: false,
            TunedValues
        );

    /// <summary>Adds the packed change of a layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="rank">The rank of its factors; 0: it is not stored as factors.</param>
    /// <param name="packed">The packed tensors of the layer.</param>
    /// <param name="change">The change.</param>
    /// <param name="lost">The squared Frobenius norm of what is lost of it.</param>
    /// <param name="calibrated">What calibration changes; null: the layer is not calibrated.</param>
    public void Add(
        LinearSpec layer,
        int rank,
        IReadOnlyList<PackedTensor> packed,
        float[] change,
        double lost,
        CalibratedLosses? calibrated = null
    )
    {
        double all = SquaresOf(change);
        double bits = packed.Sum(tensor => (double)tensor.Bits) / change.Length;
        _changed.Add((layer, rank));
        _packed.AddRange(packed);
        _layers.Add(
            new CompressedLayer(layer.Name, layer.Outputs, layer.Inputs, CompressionRun.Share(lost, all), bits)
            {
                Rank = rank > 0 ? rank : null,
                Calibrated = calibrated?.Errors,
            }
        );
        if (calibrated is { } losses)
            _calibrated = _calibrated is { } before ? before + losses : losses;
        _squares = (_squares.Lost + lost, _squares.All + all);
    }

    /// <summary>Writes what was added and all that is not packed, as an adapter of a method.</summary>
    /// <exception cref="InputException">
    /// No linear weight differs from the base's, or a value is not finite or too large for its type.
    /// </exception>
    public CompressionResult Write(AdapterMethod method)
    {
        if (_changed.Count == 0)
        {
            throw new InputException(
                $"{_run.Input}: no linear weight differs from {_model.Directory}; there is nothing to compress"
            );
        }

        ModelConfig config = _model.Config;
        var linears = ModelTensors.Linears(config).ToDictionary(layer => layer.Weight);
        string[] others =
        [
            .. (_tuned.Parts ? ModelTensors.Untied(config) : ModelTensors.For(config))
                .Select(tensor => tensor.Name)
                .Where(name => !linears.ContainsKey(name) && ChangeOf(name) is not null),
        ];
        // Files say of biases only whether all of them are stored.
        string[] biases = [.. linears.Values.Where(layer => layer.HasBias).Select(layer => layer.Bias)];
        if (!biases.Intersect(others).Any())
            biases = [];
        string[] whole = [.. others.Except(biases)];
        bool keepsTied = config.TieWordEmbeddings && !_tuned.Parts && whole.Contains(config.Family.EmbeddingWeight);
        List<TensorToWrite> plain =
        [
            .. whole.Select(name => Whole(name, AdapterFolder.KeyOf(Module(name), Leaf(name)))),
        ];
        if (keepsTied)
            plain.Add(Whole(config.Family.EmbeddingWeight, AdapterFolder.KeyOf(config.Family.Head, "weight")));
        var adapted = _changed.Select(changed => changed.Layer.Name).ToHashSet();
        foreach (string bias in biases)
        {
            string leaf = adapted.Contains(Module(bias)) ? AdapterTensors.WrappedBias : Leaf(bias);
            plain.Add(Whole(bias, AdapterFolder.KeyOf(Module(bias), leaf)));
        }

        int rank = Math.Max(1, _changed.Max(changed => changed.Rank));
        (LinearSpec Layer, int Rank)[] smaller =
        [
            .. _changed.Where(changed => changed.Rank < rank && changed.Rank > 0),
        ];
        AdapterConfig adapter = new()
        {
            Method = method,
            Options = new AdapterOptions
            {
                Rank = rank,
                Alpha = rank,
                RankPattern = [.. smaller.Select(pair => KeyValuePair.Create(Escaped(pair.Layer), pair.Rank))],
                AlphaPattern = [.. smaller.Select(pair => KeyValuePair.Create(Escaped(pair.Layer), (double)pair.Rank))],
                Bias = biases.Length > 0 ? AdapterBias.All : AdapterBias.None,
                ModulesToSave = [.. whole.Select(Module)],
                KeepTied = keepsTied,
            },
            TargetModules = ModulePattern.Of([.. adapted]),
            BaseModel = Path.GetFullPath(_model.Directory),
        };
        PackedDescription description = _run.Description(
            _changed.ToDictionary(changed => changed.Layer.Weight, changed => _model.Sha256(changed.Layer.Weight))
        );
        AdapterFolder.WritePacked(_run.Output, adapter, description, _packed, plain);
        return _run.Result(
            _layers,
            CompressionRun.Share(_squares.Lost, _squares.All),
            _packed.Count + plain.Count,
            _tuned.Warnings
        ) with
        {
            Whole = [.. whole, .. biases],
            Calibrated = _calibrated?.Errors,
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _tuned.Dispose();

    /// <summary>Returns the sum of squares of values.</summary>
    public static double SquaresOf(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values)
            sum += (double)value * value;
        return sum;
    }

    private static string Escaped(LinearSpec layer) => System.Text.RegularExpressions.Regex.Escape(layer.Name);

    private static string Module(string tensor) => ModelTensors.ModuleOf(tensor);

    private static string Leaf(string tensor) => tensor[(tensor.LastIndexOf('.') + 1)..];

    /// <summary>Returns the change of a tensor; null if there is none.</summary>
    private float[]? ChangeOf(string name)
    {
        if (!_tuned.Changes(name))
            return null;
        float[] change = _model.Untied(name).ToFloats();
        _tuned.Open(name).ReadChange(0, [.. change], change);
        return change.AsSpan().IndexOfAnyExcept(0f) < 0 ? null : change;
    }

    private TensorToWrite Whole(string name, string key)
    {
        SafetensorsTensor stored = _model.Untied(name);
        return TensorToWrite.Floats(key, _run.Options.Type ?? stored.Type, stored.Shape, () => TunedValues(name));
    }

    private float[] TunedValues(string name)
    {
        float[] values = _model.Untied(name).ToFloats();
        if (_tuned.Changes(name))
            _tuned.Open(name).ReadValues(0, [.. values], values);
        return values;
    }
}
