namespace Spectral.Training.Optim;

/// <summary>
/// The settings of AdamW, which other optimizers share as far as they have them (<see cref="OptimizerMethod.Uses"/>).
/// The defaults are those of the command.
/// </summary>
public sealed record AdamWOptions
{
    /// <summary>The decay β₁ of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>The decay β₂ of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>The ε that is added to the root of the second moment.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>The decoupled weight decay of all trainable tensors.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>
    /// The largest global gradient norm; gradients are scaled by min(1, clip / (norm + 1e-6)). 0: no clipping.
    /// </summary>
    public double GradientClip { get; init; } = 1;

    /// <summary>
    /// Groups whose gradients are clipped apart, each by the norm of its own, instead of all by the global norm:
    /// <c>component</c>, the modules of one name in all layers, such as <c>q_proj</c>; <c>layer</c>; or entries
    /// <c>REGEX=C</c>, separated by commas, of expressions that match the ends of modules' names and the largest norms
    /// of their groups. The first that matches counts, and what none matches is a group with
    /// <see cref="GradientClip"/>. Null: one norm for all.
    /// </summary>
    public string? ClipGroups { get; init; }
}
