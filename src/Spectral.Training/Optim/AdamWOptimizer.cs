using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>Settings of <see cref="AdamWOptimizer"/>; the defaults are the command's.</summary>
public sealed record AdamWOptions
{
    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay, on every trainable tensor.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Largest global gradient norm; gradients are scaled by min(1, clip / (norm + 1e-6)). 0 = no clipping.</summary>
    public double GradientClip { get; init; } = 1;
}

/// <summary>AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with PyTorch's conventions, on F32 masters.</summary>
/// <remarks>Step counter, bias corrections and clip factor live in a small struct on the device and are advanced there.</remarks>
public sealed class AdamWOptimizer : IDisposable
{
    private readonly ParameterGroup _group;
    private readonly AdamWOptions _options;
    private readonly Tensor[] _gradients;
    private readonly List<Tensor> _first = [];
    private readonly List<Tensor> _second = [];
    private readonly StepState _state;
    private readonly Tensor _norm;

    /// <summary>Prepares to train a group: allocates its gradients and the two moments.</summary>
    public AdamWOptimizer(ParameterGroup group, AdamWOptions options)
    {
        (_group, _options) = (group, options);
        group.EnableGradients();
        _gradients = [.. group.Gradients];
        foreach (var master in group.Masters)
        {
            _first.Add(Tensor.Zeros(group.Device, master.Shape));
            _second.Add(Tensor.Zeros(group.Device, master.Shape));
        }
        _state = new StepState(group.Device);
        _norm = Tensor.Zeros(group.Device, 1);
    }

    /// <summary>The global L2 norm of the gradients accumulated so far, before clipping. Waits for the device.</summary>
    public float GradientNorm()
    {
        GlobalNorm.Run(_gradients, _norm);
        Span<float> norm = stackalloc float[1];
        _norm.CopyTo(norm);
        return norm[0];
    }

    /// <summary>
    /// Clips by the norm that the last <see cref="GradientNorm"/> computed, updates all masters, clears the gradients and renews the compute-type copies.
    /// </summary>
    public void Step(double learningRate)
    {
        _state.Configure(new AdamWSettings(
            learningRate, _options.Beta1, _options.Beta2, _options.Epsilon, _options.WeightDecay, _options.GradientClip));
        _state.Advance(_norm);
        for (var i = 0; i < _first.Count; i++)
            AdamW.Step(_group.Masters[i], _gradients[i], _first[i], _second[i], _state);
        _group.ClearGradients();
        _group.NotifyChanged();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var moment in _first.Concat(_second))
            moment.Dispose();
        _state.Dispose();
        _norm.Dispose();
    }
}
