using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Spectral.Training;

/// <summary>Trains whatever is trainable in a model: its attached adapter, or its weights when they were loaded to be trained.</summary>
/// <remarks>
/// <see cref="Run"/> is a loop over <see cref="Step"/>, and that over public parts: <see cref="CausalLanguageModel.Loss"/>, <see cref="Tape.Backward"/>,
/// <see cref="AdamWOptimizer.Configure"/>, <see cref="AdamWOptimizer.Update"/>. A custom loop may start at any of these levels.
/// Same seed, data and device give bit-identical losses and weights.
/// </remarks>
public sealed partial class Trainer : IDisposable
{
    private const int PaddingToken = 0;

    private readonly CausalLanguageModel _model;
    private readonly TrainerOptions _options;
    private readonly ILogger _logger;
    private readonly AdamWOptimizer _optimizer;
    private readonly ParameterGroup _group;
    private readonly Adapter? _scheduled;
    private TrainingStep? _step;
    private int? _lossRows;
    private int? _steps;
    private int _current;

    /// <summary>Prepares gradients and optimizer state.</summary>
    /// <exception cref="InputException">A step cannot be captured as the options want: the adapter's method acts between steps.</exception>
    /// <exception cref="InvalidOperationException">Nothing in the model is trainable.</exception>
    public Trainer(CausalLanguageModel model, TrainerOptions options, ILogger? logger = null)
    {
        (_model, _options, _logger) = (model, options, logger ?? NullLogger.Instance);
        _group = model.Trainable ?? throw new InvalidOperationException("nothing to train: attach an adapter, or load the model with trainWeights");
        if (model.Adapter is { } adapter)
            options.RequireSuits(adapter.Method);
        _scheduled = model.Adapter is { Method.ActsBetweenSteps: true } ? model.Adapter : null;
        _steps = options.Steps;
        _optimizer = new AdamWOptimizer(_group, options.Optimizer);
        _group.StepState.SeedDropout(options.Seed);
    }

    /// <summary>Trains on records, evaluating before, after and as often as the options say.</summary>
    /// <param name="data">Training records.</param>
    /// <param name="evaluation">Evaluation records, or null.</param>
    /// <param name="callbacks">Told of every step and evaluation, in order.</param>
    /// <param name="cancellation">Looked at between micro-batches; the weights stay those of the last whole step.</param>
    /// <exception cref="InputException">There are no records.</exception>
    /// <exception cref="TrainingDivergedException">Loss or gradient norm is not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public TrainingResult Run(
        IReadOnlyList<EncodedRecord> data,
        IReadOnlyList<EncodedRecord>? evaluation = null,
        IReadOnlyList<ITrainerCallback>? callbacks = null,
        CancellationToken cancellation = default)
    {
        if (data.Count == 0)
            throw new InputException("there are no training records");
        callbacks ??= [];
        var steps = _options.StepsFor(data.Count);
        _steps = steps;
        var schedule = new LearningRateSchedule(_options.Schedule, _options.LearningRate, steps, _options.Warmup);
        var sampler = new BatchSampler(data.Count, _options.Batch, _options.Seed, _options.Shuffle);
        var length = 0;
        if (_options.FixedShapes || _options.CudaGraph)
        {
            length = data.Max(record => record.Tokens.Length);
            _lossRows = _options.Batch * data.Max(record => record.LossTokens);
        }
        foreach (var callback in callbacks)
            callback.OnStart(steps);
        var before = Evaluate(0, evaluation, callbacks, cancellation);
        var after = before;
        var (loss, tokens, seconds) = (double.NaN, 0L, 0.0);
        for (var step = 1; step <= steps; step++)
        {
            var started = Stopwatch.GetTimestamp();
            var batches = new Batch[_options.Accumulate];
            for (var i = 0; i < batches.Length; i++)
                batches[i] = Batch.Create([.. sampler.Next().Select(index => data[index])], PaddingToken, length);
            var report = Step(step, batches, schedule.At(step), cancellation);
            var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
            report = report with { TokensPerSecond = report.Tokens / elapsed };
            (loss, tokens, seconds) = (report.Loss, tokens + report.Tokens, seconds + elapsed);
            if (_options.LogEvery > 0 && (step % _options.LogEvery == 0 || step == steps))
                LogStep(step, steps, report.Loss, report.LearningRate, report.GradientNorm, report.TokensPerSecond);
            foreach (var callback in callbacks)
                callback.OnStep(report);
            if (step == steps || (_options.EvalEvery > 0 && step % _options.EvalEvery == 0))
                after = Evaluate(step, evaluation, callbacks, cancellation);
        }
        return new TrainingResult(steps, loss, tokens, seconds, before, after);
    }

    /// <summary>One optimizer step: forward and backward of each micro-batch, then clipping and the update.</summary>
    /// <param name="step">The step's number from 1 on, for messages and for methods that change their factors between steps.</param>
    /// <param name="batches">The micro-batches; the loss is the mean over the loss tokens of all of them.</param>
    /// <param name="learningRate">The rate to use.</param>
    /// <param name="cancellation">Looked at before each micro-batch; before the step when a graph is replayed.</param>
    /// <exception cref="TrainingDivergedException">Loss or gradient norm is not finite; nothing was updated.</exception>
    /// <exception cref="ArgumentException">With fixed shapes: the batches differ in shape from those of the first step.</exception>
    /// <exception cref="InvalidOperationException">The adapter's method acts between steps and the options do not say how many there are.</exception>
    public StepReport Step(int step, IReadOnlyList<Batch> batches, double learningRate, CancellationToken cancellation = default)
    {
        if (_scheduled is not null && _steps is null)
            throw new InvalidOperationException($"{_scheduled.Method.Name} follows a schedule: expected the number of steps in the options");
        _current = step;
        var lossTokens = batches.Sum(batch => batch.LossTokens);
        _optimizer.Configure(learningRate, lossTokens == 0 ? 0 : 1f / lossTokens);
        var kind = _options.CudaGraph ? StepKind.Captured : _options.FixedShapes ? StepKind.FixedShapes : StepKind.AsGiven;
        _step ??= new TrainingStep(_model, _group, _optimizer, kind, _options.ActivationCheckpointing, _lossRows,
            _scheduled is null ? null : () => _scheduled.BeforeUpdate(_current, _steps!.Value));
        var sums = _step.Run(batches, cancellation);
        var loss = lossTokens == 0 ? 0 : sums.Sum(sum => (double)sum) / lossTokens;
        var (_, norm, skipped) = _group.StepState.Read();
        if (skipped)
        {
            var what = double.IsFinite(loss) ? "gradient norm" : "loss";
            throw new TrainingDivergedException($"step {step}: the {what} is not a finite number; a smaller learning rate or more warm-up may help");
        }
        _scheduled?.AfterUpdate(step, _steps!.Value);
        return new StepReport(step, loss, learningRate, norm, batches.Sum(batch => batch.TokenCount), 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _step?.Dispose();
        _optimizer.Dispose();
    }

    private EvaluationResult? Evaluate(
        int step, IReadOnlyList<EncodedRecord>? records, IReadOnlyList<ITrainerCallback> callbacks, CancellationToken cancellation)
    {
        if (records is null)
            return null;
        var result = Evaluator.Evaluate(_model, records, _options.Batch, exactMatch: true, cancellation: cancellation);
        LogEvaluation(step, result.Loss, result.ExactMatch);
        foreach (var callback in callbacks)
            callback.OnEvaluation(step, result);
        return result;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "step {Step}/{Steps} loss {Loss:F4} lr {Rate:G3} grad norm {Norm:F4} {Speed:F0} tokens/s")]
    private partial void LogStep(int step, int steps, double loss, double rate, double norm, double speed);

    [LoggerMessage(Level = LogLevel.Information, Message = "step {Step} evaluation loss {Loss:F4} exact match {ExactMatch:P1}")]
    private partial void LogEvaluation(int step, double loss, double? exactMatch);
}
