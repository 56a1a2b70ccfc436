using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Trains the parameters of a set, on F32 masters, by the rule of an <see cref="OptimizerMethod"/>.
/// </summary>
/// <remarks>
/// Step counter, bias corrections and clip factor are in the set's <see cref="ParameterSet.StepState"/> and are
/// advanced on the device. <see cref="Update"/> never waits for the device, unless weights are divided between ranks.
/// </remarks>
/// <example>
/// <code>
/// using Optimizer optimizer = OptimizerMethods.Find("adamw").Create(adapter.Parameters, new AdamWOptions());
/// using BatchTensors batch = new(device, Batch.Create(records));
/// using Tape tape = new(device);
/// using Tensor loss = model.Loss(tape, batch, 1f / batch.Source.LossTokens);
/// tape.Backward();
/// StepResult result = optimizer.Step(learningRate: 1e-3); // clips, updates and clears the gradients
/// </code>
/// </example>
public class Optimizer : IDisposable
{
    private readonly AdamWOptions _options;
    private readonly OptimizerRule _rule;
    private readonly MasterExchange _exchange;
    private readonly Tensor[] _gradients = [];
    private readonly Tensor _norm;
    private readonly GradientGroups? _groups;
    private bool _isComplete;

    internal Optimizer(
        ParameterSet parameters,
        OptimizerMethod method,
        AdamWOptions options,
        IReadOnlyDictionary<string, double>? settings = null
    )
    {
        settings ??= new Dictionary<string, double>();
        method.Check(options, settings);
        IReadOnlyList<(string, double, int[])>? groups = options.ClipGroups is { } text
            ? ClipGroups.Of(text, options.GradientClip, parameters)
            : null;
        (Parameters, Method, _options) = (parameters, method, options);
        if (method.NeedsGradients)
        {
            parameters.EnableGradients();
            _gradients = [.. parameters.Gradients];
        }

        _exchange = new MasterExchange(parameters);
        Run = new OptimizerRun(parameters, method, options, settings);
        _rule = method.Begin(Run);
        parameters.StepState.SetSteps(0);
        _norm = Tensor.Zeros(parameters.Device, 1);
        if (groups is not null)
            _groups = new GradientGroups(groups, parameters);
        parameters.Restarted += Restart;
        parameters.Moved += Run.Move;
    }

    /// <summary>The parameters that the optimizer updates.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The rule that the optimizer follows.</summary>
    public OptimizerMethod Method { get; }

    /// <summary>The bytes of the optimizer's state on the device, without masters and gradients.</summary>
    public long StateBytes => Run.StateBytes;

    /// <summary>
    /// Whether the state is in page-locked host memory between updates. Each update brings it to the device and back,
    /// so that forward and backward have its memory; no bit of the results depends on it.
    /// </summary>
    public bool OffloadsState { get; set; }

    /// <summary>Chooses the tensors that train in a step; null: all do.</summary>
    internal TensorBudget? Budget { get; set; }

    /// <summary>Parameters, settings and state as the rule knows them.</summary>
    internal OptimizerRun Run { get; }

    /// <summary>The state to save.</summary>
    internal IReadOnlyList<StateTensor> States => Run.States;

    /// <summary>The measurements that replace backward; null: backward is needed.</summary>
    internal LossProbes? Probes => _rule.Probes;

    /// <summary>
    /// Adds the contributions that come once per step, such as an adapter's penalty, to the gradients.
    /// <see cref="GradientNorm"/>, <see cref="Step"/> and <see cref="Update"/> do this themselves. A training loop
    /// calls it, after the last micro-batch, only to inspect or change the complete gradients. Further calls in the
    /// same step do nothing.
    /// </summary>
    public void CompleteGradients()
    {
        if (_isComplete)
            return;
        Parameters.NotifyAccumulated();
        _rule.Complete?.Invoke();
        Budget?.Complete();
        _isComplete = true;
    }

    /// <summary>
    /// Measures the global L2 norm of the step's gradients so far, before clipping, and waits for the device. The
    /// result is only for information: <see cref="Step"/> and <see cref="Update"/> clip by the norm that they measure
    /// themselves. 0 if the optimizer needs no gradients.
    /// </summary>
    public float GradientNorm()
    {
        MeasureNorm();
        Span<float> norm = stackalloc float[1];
        _norm.CopyTo(norm);
        return norm[0];
    }

    /// <summary>
    /// Returns the norms of the last step before clipping, one for each of <see cref="AdamWOptions.ClipGroups"/>, and
    /// waits for the device. Null if all gradients have one norm.
    /// </summary>
    public IReadOnlyList<GroupNorm>? GroupNorms() => _groups?.Read();

    /// <summary>
    /// Runs an optimizer step: completes the gradients, measures their norm, clips by it, updates all masters, clears
    /// the gradients and refreshes the compute-type copies. If the norm is not finite, no master changes and the step
    /// is not counted, but the gradients are cleared. Waits for the device.
    /// </summary>
    /// <param name="learningRate">The learning rate of this step. It stays in effect until it is set again.</param>
    /// <returns>The norm before clipping, and whether the step was skipped.</returns>
    /// <exception cref="ArgumentException">The learning rate, or a setting of the options, is out of range.</exception>
    /// <exception cref="InvalidOperationException">The optimizer measures losses instead of gradients.</exception>
    public StepResult Step(double learningRate)
    {
        Configure(learningRate);
        Update();
        (_, double norm, bool skipped) = Parameters.StepState.Read();
        return new StepResult(norm, skipped);
    }

    /// <summary>
    /// Sets the learning rate for the following steps, and the factor on loss gradients that
    /// <see cref="StepState.LossScale"/> holds.
    /// </summary>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="lossScale">The factor on loss gradients, e.g. 1 / (loss tokens of the step).</param>
    /// <exception cref="ArgumentException">The learning rate, or a setting of the options, is out of range.</exception>
    public void Configure(double learningRate, float lossScale = 1) =>
        Parameters.StepState.Configure(
            new AdamWSettings(
                learningRate,
                _options.Beta1,
                _options.Beta2,
                _options.Epsilon,
                _options.WeightDecay,
                _groups is null ? _options.GradientClip : 0
            ),
            lossScale
        );

    /// <summary>
    /// Runs an optimizer step on the device with the configured learning rate: norm, clipping, update, clearing of the
    /// gradients, compute-type copies. If the norm or one of the losses is not finite, no master changes, which
    /// <see cref="StepState.Read"/> reports.
    /// </summary>
    /// <param name="losses">
    /// The losses to check, F32 of any shape; null: only the norm is checked. For an optimizer without gradients, the
    /// sums that its probes measured, [probes, micro-batches].
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// The optimizer needs losses and there are none, or the masters hold the average that is evaluated.
    /// </exception>
    public void Update(Tensor? losses = null)
    {
        _exchange.RequireUnused();
        if (_rule.Probes is not null && losses is null)
        {
            throw new InvalidOperationException(
                $"{Method.Name} updates by measured losses, expected those of its probes"
            );
        }

        MeasureNorm();
        _groups?.Clip();
        _isComplete = false;
        Parameters.StepState.Advance(_norm, losses);
        Run.Losses = losses;
        Budget?.Keep();
        _rule.Update();
        Budget?.Finish();
        Parameters.ClearGradients();
        Parameters.NotifyChanged();
        Offload();
    }

    /// <summary>Moves state to the host that was used since the last update, if it is to be there.</summary>
    internal void Offload()
    {
        if (OffloadsState)
            Run.Offload();
    }

    /// <summary>
    /// Puts the average that is evaluated and saved into the masters. Disposing the returned value brings back what
    /// trains. Null, and nothing is done, if the masters themselves are evaluated
    /// (<see cref="OptimizerMethod.KeepsAverage"/>).
    /// </summary>
    /// <exception cref="InvalidOperationException">The masters hold the average already.</exception>
    public IDisposable? UseAverage() => _rule.WriteAverage is { } write ? _exchange.Use(write) : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        Parameters.Restarted -= Restart;
        Parameters.Moved -= Run.Move;
        Run.Dispose();
        _exchange.Dispose();
        _norm.Dispose();
        _groups?.Dispose();
    }

    private void MeasureNorm()
    {
        CompleteGradients();
        if (_gradients.Length > 0)
            GlobalNorm.Run(_gradients, _norm);
        Parameters.Shards?.AddNorms(_norm);
    }

    private void Restart()
    {
        Run.Clear();
        Parameters.StepState.SetSteps(0);
    }
}
