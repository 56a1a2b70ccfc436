using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>
/// Trains the trainable parameters of a model: those of its attached adapter, or all weights if they were loaded for
/// training.
/// </summary>
/// <remarks>
/// <see cref="Run"/> is a loop over <see cref="Step"/>, which in turn uses only public methods:
/// <see cref="CausalLanguageModel.Loss"/>, <see cref="Tape.Backward"/>, <see cref="Optimizer.Configure"/>,
/// <see cref="Optimizer.Update"/>. A custom loop may start at any of these levels. The same seed, data and device
/// give bit-identical losses and weights.
/// </remarks>
/// <example>
/// <code>
/// using var adapter = Adapter.Attach(model, AdapterMethods.Find("dora"), new AdapterOptions { Rank = 8 });
/// TrainerOptions options = new() { Epochs = 2, Batch = 8, LearningRate = 1e-3, Warmup = 10 };
/// using Trainer trainer = new(model, options);
/// TrainingResult result = trainer.Run(records);
/// adapter.Save(adapterPath);
/// </code>
/// </example>
public sealed partial class Trainer : IDisposable
{
    private const int PaddingToken = 0;

    /// <summary>From a rank's seed to the next one's: SplitMix64's increment, far from any seed in use.</summary>
    private const ulong RankStride = 0x9E3779B97F4A7C15;

    private readonly CausalLanguageModel _model;
    private readonly TrainerOptions _options;
    private readonly ILogger _logger;
    private readonly RankGroup _ranks;
    private readonly StepLoss _loss;
    private Optimizer _optimizer;
    private ParameterSet _parameters;
    private readonly Adapter? _adapter;
    private readonly Adapter? _scheduled;
    private WeightAverage? _average;
    private readonly TensorBudget? _budget;
    private IDisposable? _shown;
    private TrainingStep? _step;
    private int? _lossRows;
    private int? _steps;
    private int _current;
    private int _records;
    private bool _isRestored;

    /// <summary>Allocates gradients and optimizer state for the trainable parameters.</summary>
    /// <param name="model">The model to train.</param>
    /// <param name="options">The settings of the run.</param>
    /// <param name="logger">Receives log lines; null: none are written.</param>
    /// <param name="ranks">
    /// The processes that train the model together, all with the same model, options and records; null: this one alone.
    /// The trainer does not dispose it.
    /// </param>
    /// <exception cref="InputException">
    /// The options do not suit the optimizer, the adapter's method (<see cref="TrainerOptions.RequireSuits"/>) or
    /// several ranks, or the loss compares with a base that trains.
    /// </exception>
    /// <exception cref="InvalidOperationException">Nothing in the model is trainable.</exception>
    public Trainer(CausalLanguageModel model, TrainerOptions options, ILogger? logger = null, RankGroup? ranks = null)
    {
        (_model, _options, _logger) = (model, options, logger ?? NullLogger.Instance);
        _ranks = ranks ?? RankGroup.Alone;
        _parameters =
            model.Trainable
            ?? throw new InvalidOperationException(
                "nothing to train: attach an adapter, or load the model with trainWeights"
            );
        var adapter = Adapter.Of(model);
        options.RequireSuits(adapter?.Method, adapter?.Options);
        options.RequireBase(keepsBase: adapter is not null);
        LossMethod loss = LossMethods.Find(options.Loss.Name);
        if (model.Config.Classifier is not null)
        {
            if (loss.TakesPairs)
            {
                throw new InputException(
                    $"--loss {loss.Name} takes pairs of answers, which a model that classifies has none of"
                );
            }

            if (options.CudaGraph || options.FixedShapes)
                throw new InputException("a model that classifies has no steps of fixed shape: expected no --graph");
        }

        _loss = loss.Begin(model, options.Loss.Settings);
        if (
            adapter is not null
            && !OptimizerMethods.Find(options.OptimizerChoice.Name).NeedsGradients
            && adapter.Modules.Any(module => module.Form.Penalty is not null)
        )
        {
            throw new InputException(
                $"{adapter.Method.Name} adds a penalty to the gradients, which {options.OptimizerChoice.Name} does not "
                    + "use: expected another --optimizer"
            );
        }

        if (options.CudaGraph && model.Shards is not null)
        {
            throw new InputException(
                "--shard: layers are gathered while a step runs, so that it cannot be replayed: expected no --graph"
            );
        }

        if (options.CudaGraph && model.Config.Experts is not null)
        {
            throw new InputException(
                $"{model.Config.ModelType} has experts, of which each step needs others, so that no step can be "
                    + "replayed: expected no --graph"
            );
        }

        if (options.FlopBudget is { } least)
            TensorBudget.Check(_parameters, least);
        if (options.SampledRows is not null)
            adapter?.KeepInputsApart();
        if (_parameters.Shards is not null)
            ShardedState.Require(options);
        _adapter = adapter;
        _scheduled = adapter is { Method.ActsBetweenSteps: true } ? adapter : null;
        _steps = options.Steps;
        _optimizer = CreateOptimizer();
        if (_parameters.Shards is { } shards)
            ShardedState.Name(shards, _optimizer);
        _optimizer.OffloadsState = options.OffloadOptimizer;
        _optimizer.Offload();
        if (options.FlopBudget is { } budget)
            _budget = new TensorBudget(_optimizer, budget, options.FlopInterval);
        SeedDropout(options.Seed, 0);
        if (options.EmaDecay is { } decay)
            _average = new WeightAverage(_parameters, decay);
    }

    /// <summary>The progress of the run.</summary>
    public TrainerProgress Progress { get; private set; } = new();

    /// <summary>The result; null until the run is complete, including its last evaluation.</summary>
    public TrainingResult? Result { get; private set; }

    /// <summary>
    /// Trains on records, and evaluates before, after and as often as the options say. After <see cref="Restore"/> it
    /// continues where the saved run was.
    /// </summary>
    /// <param name="data">The records to train on.</param>
    /// <param name="evaluation">The records to evaluate on; null: no evaluation.</param>
    /// <param name="callbacks">Called after every step and evaluation, in order.</param>
    /// <param name="cancellation">
    /// Checked between steps and in evaluations. Callbacks are told that the run ends
    /// (<see cref="ITrainerCallback.OnStepEnd"/>).
    /// </param>
    /// <exception cref="InputException">
    /// There are no records, or their number differs from that of the run to be resumed.
    /// </exception>
    /// <exception cref="TrainingDivergedException">
    /// Loss or gradient norm was not finite for <see cref="TrainerOptions.MaxSkipped"/> steps in a row.
    /// </exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public TrainingResult Run(
        IReadOnlyList<EncodedRecord> data,
        IReadOnlyList<EncodedRecord>? evaluation = null,
        IReadOnlyList<ITrainerCallback>? callbacks = null,
        CancellationToken cancellation = default
    )
    {
        if (data.Count == 0)
            throw new InputException("there are no training records");
        callbacks ??= [];
        bool takesPairs = LossMethods.Find(_options.Loss.Name).TakesPairs;
        int[][] units = _options.Rows(data);
        BeginRun(units.Length);
        if (_ranks.Count > 1 && _parameters.Shards is null)
        {
            // They have the same bits already, unless the machines of the ranks differ.
            _ranks.FollowFirst(_parameters.Masters);
            _parameters.NotifyChanged();
        }

        int steps = _steps!.Value;
        var schedule = new LearningRateSchedule(_options.Schedule, _options.LearningRate, steps, _options.Warmup);
        var sampler = new BatchSampler(
            units.Length,
            _options.RecordsPerStep,
            _options.Seed,
            _options.Shuffle,
            _options.DropLast,
            _options.GroupByLength ? [.. data.Select(record => record.Longest)] : null
        )
        {
            Position = Progress.Step,
        };
        (int rows, int length, int micros) = (0, 0, 0);
        if (_options.FixedShapes || _options.CudaGraph)
        {
            rows = _ranks.LargestShare(Math.Min(_options.Batch, units.Length));
            length = units.Max(unit => unit.Sum(record => data[record].Tokens.Length));
            micros = Math.Min(_options.Accumulate, (units.Length + _options.Batch - 1) / _options.Batch);
            _lossRows = rows * units.Max(unit => unit.Sum(record => data[record].LossTokens));
        }

        int longest = rows > 0 ? data.Max(record => record.Tokens.Length) : 0;
        foreach (ITrainerCallback callback in callbacks)
            callback.OnStart(steps);
        if (Progress.Step == 0)
            Evaluate(evaluation, callbacks, cancellation);
        else if (!Progress.IsEvaluated && IsDue(evaluation)) // it was cancelled in that evaluation
            EndStep(evaluation, callbacks, cancellation);
        while (Progress.Step < steps)
        {
            if (_ranks.Any(cancellation.IsCancellationRequested))
                throw new OperationCanceledException(cancellation);
            (int step, long started) = (Progress.Step + 1, Stopwatch.GetTimestamp());
            List<Batch> batches = [.. sampler.Next().Chunk(_options.Batch).Select(MicroBatch)];
            // A step of fixed shape has the same number of micro-batches as all others; the added ones carry no loss.
            while (batches.Count < micros)
                batches.Add(MicroBatch([]));
            StepReport report = Step(step, batches, schedule.At(step));
            double elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
            report = report with { TokensPerSecond = report.Tokens / elapsed };
            Progress = Progress with { Seconds = Progress.Seconds + elapsed };
            TrainingMeters.Record(report, elapsed, _model.Device.Memory);
            if (_options.LogEvery > 0 && (step % _options.LogEvery == 0 || step == steps))
                LogStep(step, steps, report.Loss, report.LearningRate, report.GradientNorm, report.TokensPerSecond);
            foreach (ITrainerCallback callback in callbacks)
                callback.OnStep(report);
            if (report.Skipped)
                NoteSkipped(report);
            if (step == steps)
                RequireFinite();
            EndStep(evaluation, callbacks, cancellation);
        }
        // The first rank may still be saving, for which it needs the others' parts of the weights.
        if (_model.Shards is not null)
            _ranks.Any(false);
        _shown = UseAverage();
        return Result ??= Progress.ToResult(); // a restored run may already be complete

        Batch MicroBatch(int[] micro)
        {
            int[] own = [.. _ranks.Share<int>(micro)];
            if (takesPairs)
                return Batch.CreatePairs([.. own.Select(pair => data[pair])], PaddingToken);
            EncodedRecord[][] chosen = [.. own.Select(unit => units[unit].Select(record => data[record]).ToArray())];
            return _options.PackTo is null
                ? Batch.Create([.. chosen.Select(row => row[0])], PaddingToken, length, rows)
                : Batch.Pack(chosen, PaddingToken, length, rows, longest);
        }
    }

    /// <summary>
    /// Puts the average of <see cref="TrainerOptions.EmaDecay"/>, or the one that the optimizer keeps
    /// (<see cref="OptimizerMethod.KeepsAverage"/>), into the trainable parameters, to evaluate or save it between two
    /// steps. Disposing the returned value brings back what trains. Returns null, and does nothing, without an average,
    /// or after <see cref="Run"/>, which ends with the average in the parameters.
    /// </summary>
    public IDisposable? UseAverage() => _shown is null ? _average?.Use() ?? _optimizer.UseAverage() : null;

    /// <summary>
    /// Runs one optimizer step: forward and backward of each micro-batch, then clipping and the update, which is
    /// skipped unless loss and norm are finite.
    /// </summary>
    /// <param name="step">The number of the step, from 1, for methods that act between steps.</param>
    /// <param name="batches">
    /// The micro-batches, as many on all ranks; the loss is the mean over the loss tokens, or the pairs, of all of them
    /// on all ranks. A rank's may be empty.
    /// </param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <exception cref="ArgumentException">
    /// With fixed shapes, the batches differ in shape from those of the first step.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The adapter's method acts between steps and the options do not give their number.
    /// </exception>
    public StepReport Step(int step, IReadOnlyList<Batch> batches, double learningRate)
    {
        if (_scheduled is not null && _steps is null)
        {
            throw new InvalidOperationException(
                $"{_scheduled.Method.Name} follows a schedule: expected the number of steps in the options"
            );
        }

        long sent = _ranks.BytesSent;
        HideAverage();
        _optimizer.Offload(); // a saved state or a shown average may have brought some back
        _current = step;
        _budget?.Begin(step);
        _scheduled?.BeforeForward(step, _steps!.Value);
        _adapter?.CountRouters();
        Span<double> counts = [batches.Sum(_loss.Count), batches.Sum(batch => batch.TokenCount)];
        _ranks.Sum(counts);
        bool isEven = _model.Shards is not null && !_ranks.Any(batches.Any(batch => batch.Rows == 0));
        (int count, int tokens) = ((int)counts[0], (int)counts[1]);
        _optimizer.Configure(learningRate, count == 0 ? 0 : 1f / count);
        StepKind kind = _options switch
        {
            { CudaGraph: true } => StepKind.Captured,
            { FixedShapes: true } => StepKind.FixedShapes,
            _ => StepKind.AsGiven,
        };
        _step ??= new TrainingStep(
            _model,
            _parameters,
            _optimizer,
            _loss,
            kind,
            _options.ActivationCheckpointing,
            _lossRows,
            _scheduled is null ? null : () => _scheduled.BeforeUpdate(_current, _steps!.Value),
            _options.SampledRows,
            _options.NeftuneAlpha,
            _ranks,
            [.. _scheduled?.Modules.SelectMany(module => module.Form.Observed).Distinct() ?? []]
        );
        _step.IsEven = isEven;
        float[] sums = _step.Run(batches);
        double loss = count == 0 ? 0 : sums.Sum(sum => (double)sum) / count;
        (long _, double norm, bool skipped) = _parameters.StepState.Read();
        // This also happens after a skipped step: the factors are unchanged, and what the schedule requires at this
        // step still has to be done.
        _scheduled?.AfterUpdate(step, _steps!.Value);
        var report = new StepReport(
            step,
            double.IsFinite(loss) ? loss : double.NaN,
            learningRate,
            norm,
            tokens,
            0,
            skipped
        )
        {
            Groups = _optimizer.GroupNorms(),
            PairScores = _loss.Total?.Over(_ranks).Scores,
            TrainedTensors = _budget?.Training,
            Routers = _adapter?.RouterReport,
            BytesSent = _ranks.Count > 1 ? _ranks.BytesSent - sent : null,
        };
        if (!skipped)
            _average?.Update();
        Progress = Progress.After(report);
        KeepEntries(step);
        return report;
    }

    private Optimizer CreateOptimizer() =>
        OptimizerMethods
            .Find(_options.OptimizerChoice.Name)
            .Create(_parameters, _options.Optimizer, _options.OptimizerChoice.Settings);

    /// <summary>
    /// Has the adapter go on with single entries where its method says so, with an optimizer and an average that begin
    /// anew. What is evaluated decides which entries these are.
    /// </summary>
    private void KeepEntries(int step)
    {
        if (_scheduled?.ChoosesEntries(step, _steps!.Value) != true)
            return;
        IReadOnlyList<ChosenEntries> chosen;
        using (UseAverage())
            chosen = _scheduled.ChooseEntries(step, _steps.Value);
        (ulong seed, ulong offset) = _parameters.StepState.ReadDropout();
        _step?.Dispose();
        _average?.Dispose();
        _optimizer.Dispose();
        _step = null;
        _scheduled.Keep(chosen);
        _parameters = _scheduled.Parameters;
        _optimizer = CreateOptimizer();
        _optimizer.OffloadsState = _options.OffloadOptimizer;
        _optimizer.Offload();
        _parameters.StepState.SeedDropout(seed, offset);
        if (_options.EmaDecay is { } decay)
            _average = new WeightAverage(_parameters, decay);
    }

    /// <summary>
    /// Checks that all trainable parameters are finite before they are saved. The last update may have exceeded the
    /// range of F32.
    /// </summary>
    /// <exception cref="TrainingDivergedException">A parameter is not finite.</exception>
    public void RequireFinite()
    {
        IEnumerable<Tensor> masters = _parameters.Shards is { } shards
            ? shards.Units.Select(unit => shards.Whole(unit.Number))
            : _parameters.Masters.Select(master => master.Share());
        if (!masters.All(IsFinite))
        {
            throw new TrainingDivergedException(
                $"step {Progress.Step}: the update left values that are not finite numbers; "
                    + "a smaller learning rate, more warm-up or gradient clipping may help"
            );
        }
    }

    private static bool IsFinite(Tensor taken)
    {
        using (taken)
            return double.IsFinite(MatrixScan.Run(taken).Largest);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _step?.Dispose();
        _average?.Dispose();
        _optimizer.Dispose();
    }

    /// <summary>Brings back what trains, if a run ended with the average.</summary>
    /// <returns>Whether it did.</returns>
    private bool HideAverage()
    {
        bool wasShown = _shown is not null;
        _shown?.Dispose();
        _shown = null;
        return wasShown;
    }

    /// <summary>
    /// Gives each rank random numbers of its own for what it drops, samples and adds as noise. An optimizer that
    /// measures losses draws its directions from them too, which are the same on all ranks.
    /// </summary>
    private void SeedDropout(ulong seed, ulong offset) =>
        _parameters.StepState.SeedDropout(
            seed + (_optimizer.Probes is null ? (ulong)_ranks.Rank * RankStride : 0),
            offset
        );

    private void BeginRun(int records)
    {
        HideAverage();
        if (_isRestored && records != _records)
        {
            string what = _options.PackTo is null ? "training records" : "packed sequences";
            throw new InputException($"{records} {what}, expected the {_records} of the run to go on with");
        }
        if (!_isRestored)
            Progress = new TrainerProgress();
        (_records, _isRestored, Result) = (records, false, null);
        _steps = _options.StepsFor(records);
    }

    private bool IsDue(IReadOnlyList<EncodedRecord>? evaluation) =>
        evaluation is not null
        && (Progress.Step == _steps || (_options.EvalEvery > 0 && Progress.Step % _options.EvalEvery == 0));

    /// <summary>Evaluates if it is due, then lets callbacks save, even if the evaluation was cancelled.</summary>
    private void EndStep(
        IReadOnlyList<EncodedRecord>? evaluation,
        IReadOnlyList<ITrainerCallback> callbacks,
        CancellationToken cancellation
    )
    {
        OperationCanceledException? cancelled = null;
        try
        {
            if (IsDue(evaluation))
                Evaluate(evaluation, callbacks, cancellation);
        }
        catch (OperationCanceledException error)
        {
            cancelled = error;
        }
        if (Progress.Step == _steps && cancelled is null)
            Result = Progress.ToResult();
        bool stops = _ranks.Any(cancellation.IsCancellationRequested);
        foreach (ITrainerCallback callback in callbacks)
            callback.OnStepEnd(Progress.Step, Result is not null || stops);
        // A launcher ends all ranks when one stops, and the first may still have been saving.
        if (stops)
            _ranks.Any(false);
        if (stops && Result is null)
            throw cancelled ?? new OperationCanceledException(cancellation);
    }

    private void Evaluate(
        IReadOnlyList<EncodedRecord>? records,
        IReadOnlyList<ITrainerCallback> callbacks,
        CancellationToken cancellation
    )
    {
        if (records is null)
            return;
        using IDisposable? average = UseAverage();
        EvaluationResult result = Evaluator.Evaluate(
            _model,
            records,
            _options.Loss,
            _options.Batch,
            packTo: _options.PackTo,
            // Ranks stop together, between evaluations.
            cancellation: _ranks.Count > 1 ? CancellationToken.None : cancellation,
            ranks: _ranks
        );
        LogEvaluation(Progress.Step, result.Loss, result.ExactMatch);
        TrainingMeters.Record(result);
        Progress = Progress with { Evaluations = [.. Progress.Evaluations, new StepEvaluation(Progress.Step, result)] };
        foreach (ITrainerCallback callback in callbacks)
            callback.OnEvaluation(Progress.Step, result);
    }

    private void NoteSkipped(in StepReport report)
    {
        string what = double.IsFinite(report.Loss) ? "gradient norm" : "loss";
        LogSkipped(report.Step, what);
        if (Progress.SkippedInARow < _options.MaxSkipped)
            return;
        (int row, string good) = (
            Progress.SkippedInARow,
            Progress.Loss is { } loss
                ? FormattableString.Invariant($"the last finite loss was {loss:0.####}")
                : "no loss was finite"
        );
        throw new TrainingDivergedException(
            $"step {report.Step}: the {what} is not a finite "
                + $"number{(row > 1 ? $", as in the {row - 1} steps before" : "")}; {good}; "
                + "a smaller learning rate, more warm-up or gradient clipping may help"
        );
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "step {Step}/{Steps} loss {Loss:F4} lr {Rate:G3} grad norm {Norm:F4} {Speed:F0} tokens/s"
    )]
    private partial void LogStep(int step, int steps, double loss, double rate, double norm, double speed);

    [LoggerMessage(Level = LogLevel.Warning, Message = "step {Step} skipped: the {What} is not a finite number")]
    private partial void LogSkipped(int step, string what);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "step {Step} evaluation loss {Loss:F4} exact match {ExactMatch:P1}"
    )]
    private partial void LogEvaluation(int step, double loss, double? exactMatch);
}
