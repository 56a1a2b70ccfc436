using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>
/// Runs the device's share of an optimizer step: forward and backward of its micro-batches and the update, without
/// reading results in between. An optimizer that measures losses instead of gradients gets forward passes at each of
/// its probes.
/// </summary>
/// <remarks>
/// The first step of a captured run is launched kernel by kernel, which loads kernels and libraries and lets caches
/// grow. The second is recorded and replayed like all following ones, so that the losses are bit for bit those of the
/// same steps without a graph.
/// </remarks>
internal sealed class TrainingStep(
    CausalLanguageModel model,
    ParameterSet parameters,
    Optimizer optimizer,
    StepLoss stepLoss,
    StepKind kind,
    bool checkpointing,
    int? lossRows,
    Action? beforeUpdate,
    double? sampledRows = null,
    double? neftuneAlpha = null,
    RankGroup? ranks = null,
    IReadOnlyList<IObservedGradient>? observed = null
) : IDisposable
{
    private readonly IReadOnlyList<IObservedGradient> _observed = observed ?? [];
    private BatchTensors[]? _fixed;
    private readonly RankGroup _ranks = ranks ?? RankGroup.Alone;
    private Tensor? _losses;
    private GradientSums? _sums;
    private Graph? _graph;

    /// <summary>
    /// Whether all ranks make the same passes in the next step, each with records of its own, so that weights which are
    /// divided between them can be gathered without asking.
    /// </summary>
    public bool IsEven { get; set; }

    /// <summary>
    /// Runs the step and returns the sum of the losses of each micro-batch on all ranks, its mean over the probes if
    /// the optimizer has some. Waits for the device.
    /// </summary>
    public float[] Run(IReadOnlyList<Batch> batches)
    {
        int probes = optimizer.Probes?.Count ?? 1;
        if (_losses?.Dim(1) != batches.Count)
        {
            if (_fixed is not null)
            {
                throw new ArgumentException(
                    $"{batches.Count} micro-batches, expected {_fixed.Length} as in the first step",
                    nameof(batches)
                );
            }

            _losses?.Dispose();
            _losses = Tensor.Empty(model.Device, (probes, batches.Count));
        }
        if (batches.Any(batch => batch.Rows == 0))
            _losses.Clear();
        stepLoss.Begin(batches, _ranks);
        if (kind == StepKind.AsGiven)
        {
            Launch(run =>
            {
                for (int i = 0; i < batches.Count; i++)
                {
                    using var tensors = new BatchTensors(model.Device, batches[i]);
                    run(i, tensors);
                }
            });
        }
        else
        {
            RunFixed(batches);
        }
        float[] sums = _losses.ToArray();
        return probes == 1
            ? sums
            :
            [
                .. Enumerable
                    .Range(0, batches.Count)
                    .Select(i => Enumerable.Range(0, probes).Average(probe => sums[probe * batches.Count + i])),
            ];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _graph?.Dispose();
        _sums?.Dispose();
        _losses?.Dispose();
        foreach (BatchTensors batch in _fixed ?? [])
            batch.Dispose();
    }

    private void RunFixed(IReadOnlyList<Batch> batches)
    {
        foreach (Batch batch in batches)
            batch.CheckIds(model.Config.VocabularySize);
        if (_fixed is null)
        {
            Batch first = batches[0];
            _fixed =
            [
                .. batches.Select(batch => new BatchTensors(
                    model.Device,
                    batch,
                    Math.Min(lossRows ?? int.MaxValue, first.Tokens.Length)
                )),
            ];
            LaunchFixed();
            return;
        }
        for (int i = 0; i < _fixed.Length; i++)
            _fixed[i].Update(batches[i]);
        if (kind == StepKind.FixedShapes)
        {
            LaunchFixed();
            return;
        }
        _graph ??= Graph.Capture(model.Device, LaunchFixed);
        _graph.Launch();
    }

    private void LaunchFixed() =>
        Launch(run =>
        {
            for (int i = 0; i < _fixed!.Length; i++)
                run(i, _fixed[i]);
        });

    /// <summary>Runs the passes over the micro-batches, then the update.</summary>
    /// <param name="forEachBatch">Calls a function with each micro-batch and its number.</param>
    private void Launch(Action<Action<int, BatchTensors>> forEachBatch)
    {
        // The gradients of weights that are divided between ranks are summed in backward.
        if (_ranks.Count > 1 && parameters is { Gradients.Count: > 0, Shards: null })
        {
            _sums ??= new GradientSums(
                _ranks,
                parameters.Gradients,
                Parts(),
                model.Shards is { } weights ? weights.SumAside : null
            );
        }

        if (optimizer.Probes is { } probes)
        {
            for (int probe = 0; probe < probes.Count; probe++)
            {
                probes.Begin(probe);
                parameters.NotifyChanged();
                int row = probe;
                forEachBatch((index, batch) => Measure(row, index, batch));
            }

            probes.End();
        }
        else if (IsEven && model.Shards is { } shards)
        {
            shards.Begin();
            forEachBatch(Accumulate);
            shards.End();
        }
        else
        {
            forEachBatch(Accumulate);
        }

        Update();
    }

    /// <summary>Lists the parameters by their places among the gradients and the layers that they belong to.</summary>
    private (int Buffer, int From, int Count, int Layer)[] Parts() =>
        [
            .. parameters.Parameters.Select(
                (parameter, i) =>
                {
                    (int buffer, int offset) = parameters.PlaceOf(i);
                    int layer = model.LayerOf(parameter.Name) ?? GradientSums.NoLayer;
                    return (buffer, offset, checked((int)parameter.Shape.Count), layer);
                }
            ),
        ];

    private void Update()
    {
        // What was not finite on one rank is not finite in the sums, so that all ranks skip the step.
        IEnumerable<Tensor> seen = _ranks.Count > 1 ? _observed.Select(gradient => gradient.Total(model.Device)) : [];
        _sums?.Complete();
        _ranks.Sum([.. seen, _losses!]);
        // The method is not called in a step that will be skipped: a NaN that enters its running means of gradients
        // would never leave them.
        if (
            beforeUpdate is not null
            && float.IsFinite(optimizer.GradientNorm())
            && Array.TrueForAll(_losses!.ToArray(), float.IsFinite)
        )
        {
            beforeUpdate();
        }

        foreach (IObservedGradient gradient in _observed)
            gradient.Clear(); // also where the step is skipped
        optimizer.Update(_losses);
    }

    private void Accumulate(int index, BatchTensors batch)
    {
        parameters.StepState.NextBatch();
        if (batch.Source.Rows == 0)
            return;
        // The last micro-batch completes the gradients. Ranks that ask for weights one by one sum afterwards.
        bool completes = index == _losses!.Dim(1) - 1 && model.Shards is null or { IsTogether: true };
        using var tape = new Tape(model.Device, dropout: parameters.StepState)
        {
            Sampling = sampledRows is { } share ? new RowSampling(parameters.StepState, share) : null,
            Noise = neftuneAlpha is { } alpha ? new EmbeddingNoise(parameters.StepState, alpha) : null,
            Passed = completes && _sums is { } sums ? sums.Passed : null,
        };
        using Tensor loss = stepLoss.Run(index, tape, batch, checkpointing, parameters.StepState.LossScale);
        tape.Backward();
        Keep(loss, 0, index);
    }

    private void Measure(int probe, int index, BatchTensors batch)
    {
        if (batch.Source.Rows == 0)
            return;
        using var tape = new Tape(model.Device, records: false);
        using Tensor loss = stepLoss.Run(index, tape, batch);
        Keep(loss, probe, index);
    }

    private void Keep(Tensor loss, int probe, int index)
    {
        using Tensor all = _losses!.View(checked((int)_losses.Count));
        using Tensor slot = all.Rows(probe * _losses.Dim(1) + index, 1);
        slot.CopyFrom(loss);
    }
}
