namespace Spectral.Training.Optim;

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

    /// <summary>
    /// Largest global gradient norm; gradients are scaled by min(1, clip / (norm + 1e-6)). 0 = no clipping.
    /// </summary>
    public double GradientClip { get; init; } = 1;
}
