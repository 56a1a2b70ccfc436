using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with PyTorch's conventions, on F32
/// masters.
/// </summary>
/// <remarks>
/// Step counter, bias corrections and clip factor are in the set's <see cref="ParameterSet.StepState"/> and are
/// advanced on the device. <see cref="Update"/> never waits for the device and can be captured in a
/// <see cref="Graph"/>.
/// </remarks>
/// <example>
/// <code>
/// using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions { GradientClip = 1 });
/// using BatchTensors batch = new(device, Batch.Create(records));
/// using Tape tape = new(device);
/// using Tensor loss = model.Loss(tape, batch, 1f / batch.Source.LossTokens);
/// tape.Backward();
/// StepResult result = optimizer.Step(learningRate: 1e-3); // clips, updates and clears the gradients
/// </code>
/// </example>
public sealed class AdamWOptimizer : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly AdamWOptions _options;
    private readonly Tensor[] _gradients;
    private readonly List<Tensor> _first = [];
    private readonly List<Tensor> _second = [];
    private readonly Tensor _norm;
    private bool _isComplete;

    /// <summary>
    /// Prepares to train a set of parameters: allocates gradients and the two moments, and resets the step counter.
    /// </summary>
    /// <param name="parameters">The parameters to train, which the caller keeps ownership of.</param>
    /// <param name="options">The settings of the optimizer.</param>
    public AdamWOptimizer(ParameterSet parameters, AdamWOptions options)
    {
        (_parameters, _options) = (parameters, options);
        parameters.EnableGradients();
        _gradients = [.. parameters.Gradients];
        foreach (Tensor master in parameters.Masters)
        {
            _first.Add(Tensor.Zeros(parameters.Device, master.Shape));
            _second.Add(Tensor.Zeros(parameters.Device, master.Shape));
        }
        parameters.StepState.SetSteps(0);
        _norm = Tensor.Zeros(parameters.Device, 1);
        parameters.Restarted += Restart;
    }

    /// <summary>The parameters that the optimizer updates.</summary>
    public ParameterSet Parameters => _parameters;

    /// <summary>The running means of the gradients, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> FirstMoments => _first;

    /// <summary>The running means of the squared gradients, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> SecondMoments => _second;

    /// <summary>
    /// Adds the contributions that come once per step, such as an adapter's penalty, to the gradients.
    /// <see cref="GradientNorm"/>, <see cref="Step"/> and <see cref="Update"/> do this themselves. A training loop
    /// calls it, after the last micro-batch, only to inspect or change the complete gradients. Further calls in the
    /// same step do nothing.
    /// </summary>
    public void CompleteGradients()
    {
        if (!_isComplete)
            _parameters.NotifyAccumulated();
        _isComplete = true;
    }

    /// <summary>
    /// Measures the global L2 norm of the step's gradients so far, before clipping, and waits for the device. The
    /// result is only for information: <see cref="Step"/> and <see cref="Update"/> clip by the norm that they measure
    /// themselves.
    /// </summary>
    public float GradientNorm()
    {
        CompleteGradients();
        GlobalNorm.Run(_gradients, _norm);
        Span<float> norm = stackalloc float[1];
        _norm.CopyTo(norm);
        return norm[0];
    }

    /// <summary>
    /// Runs an optimizer step: completes the gradients, measures their norm, clips by it, updates all masters, clears
    /// the gradients and refreshes the compute-type copies. If the norm is not finite, no master changes and the step
    /// is not counted, but the gradients are cleared. Waits for the device.
    /// </summary>
    /// <param name="learningRate">The learning rate of this step. It stays in effect until it is set again.</param>
    /// <returns>The norm before clipping, and whether the step was skipped.</returns>
    /// <exception cref="ArgumentException">The learning rate, or a setting of the options, is out of range.</exception>
    public StepResult Step(double learningRate)
    {
        Configure(learningRate);
        Update();
        (_, double norm, bool skipped) = _parameters.StepState.Read();
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
        _parameters.StepState.Configure(
            new AdamWSettings(
                learningRate,
                _options.Beta1,
                _options.Beta2,
                _options.Epsilon,
                _options.WeightDecay,
                _options.GradientClip
            ),
            lossScale
        );

    /// <summary>
    /// Runs an optimizer step on the device with the configured learning rate: norm, clipping, update, clearing of the
    /// gradients, compute-type copies. If the norm or one of the losses is not finite, no master changes, which
    /// <see cref="StepState.Read"/> reports.
    /// </summary>
    /// <param name="losses">The losses to check, F32 of any shape; null: only the norm is checked.</param>
    public void Update(Tensor? losses = null)
    {
        CompleteGradients();
        GlobalNorm.Run(_gradients, _norm);
        _isComplete = false;
        _parameters.StepState.Advance(_norm, losses);
        for (int i = 0; i < _first.Count; i++)
        {
            AdamW.Step(
                _parameters.Masters[i],
                _gradients[i],
                _first[i],
                _second[i],
                _parameters.StepState,
                (float)_parameters.Rates[i]
            );
        }

        _parameters.ClearGradients();
        _parameters.NotifyChanged();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _parameters.Restarted -= Restart;
        foreach (Tensor moment in _first.Concat(_second))
            moment.Dispose();
        _norm.Dispose();
    }

    private void Restart()
    {
        foreach (Tensor moment in _first.Concat(_second))
            moment.Clear();
        _parameters.StepState.SetSteps(0);
    }
}
