using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with PyTorch's conventions, on F32
/// masters.
/// </summary>
/// <remarks>
/// Step counter, bias corrections and clip factor live in the set's <see cref="ParameterSet.StepState"/> and are
/// advanced on the device:
/// <see cref="Update"/> waits for nothing and can be captured in a <see cref="Graph"/>.
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
    /// Prepares to train a set of parameters: allocates its gradients and the two moments, and starts counting steps.
    /// </summary>
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

    /// <summary>What it trains.</summary>
    public ParameterSet Parameters => _parameters;

    /// <summary>Running means of the gradients, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> FirstMoments => _first;

    /// <summary>Running means of their squares, likewise.</summary>
    public IReadOnlyList<Tensor> SecondMoments => _second;

    /// <summary>
    /// Adds to the gradients what comes once per step, such as an adapter's penalty. <see cref="GradientNorm"/>,
    /// <see cref="Step"/> and <see cref="Update"/> do so themselves; a loop calls it, after the last micro-batch, only
    /// to look at or change the complete gradients. Further calls in the same step do nothing.
    /// </summary>
    public void CompleteGradients()
    {
        if (!_isComplete)
            _parameters.NotifyAccumulated();
        _isComplete = true;
    }

    /// <summary>
    /// Measures the global L2 norm of the step's gradients so far, before clipping. Waits for the device. For looking
    /// alone: <see cref="Step"/> and <see cref="Update"/> clip by the norm that they measure themselves.
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
    /// A whole optimizer step: completes the gradients, measures their norm, clips by it, updates all masters, clears
    /// the gradients and renews the compute-type copies. Where the norm is not finite no master changes and the step is
    /// not counted; the gradients are cleared all the same. Waits for the device.
    /// </summary>
    /// <param name="learningRate">The step's learning rate; it holds until it is set again.</param>
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
    /// Sets the learning rate, and the factor of loss gradients that <see cref="StepState.LossScale"/> holds, from now
    /// on.
    /// </summary>
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
    /// A whole optimizer step on the device, as configured: norm, clipping, update, gradients cleared, compute-type
    /// copies renewed. Where the norm or one of the losses is not finite no master changes; <see
    /// cref="StepState.Read"/> tells.
    /// </summary>
    /// <param name="losses">Losses to check, any shape, F32; null: only the norm is.</param>
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
