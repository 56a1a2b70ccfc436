namespace Spectral.Kernels.Ops;

/// <summary>Settings of an AdamW step that the host chooses.</summary>
/// <param name="LearningRate">Learning rate η, the step size.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">ε, added to the root of the second moment and not under it.</param>
/// <param name="WeightDecay">Factor ω of the decoupled weight decay.</param>
/// <param name="MaxNorm">Global norm that gradients are clipped to; 0 is no clipping.</param>
public readonly record struct AdamWSettings(
    double LearningRate,
    double Beta1 = 0.9,
    double Beta2 = 0.999,
    double Epsilon = 1e-8,
    double WeightDecay = 0.01,
    double MaxNorm = 0
);
