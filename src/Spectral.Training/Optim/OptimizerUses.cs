namespace Spectral.Training.Optim;

/// <summary>The common settings (<see cref="AdamWOptions"/>) that an optimizer reads.</summary>
[Flags]
public enum OptimizerUses
{
    /// <summary>None of the common settings.</summary>
    None = 0,

    /// <summary>The decay β₁ (<see cref="AdamWOptions.Beta1"/>).</summary>
    Beta1 = 1,

    /// <summary>The decay β₂ (<see cref="AdamWOptions.Beta2"/>).</summary>
    Beta2 = 2,

    /// <summary>The ε of a division (<see cref="AdamWOptions.Epsilon"/>).</summary>
    Epsilon = 4,

    /// <summary>Decoupled weight decay (<see cref="AdamWOptions.WeightDecay"/>).</summary>
    WeightDecay = 8,

    /// <summary>Clipping by the gradients' norm (<see cref="AdamWOptions.GradientClip"/>).</summary>
    GradientClip = 16,

    /// <summary>Weight decay and clipping, which nearly every optimizer reads.</summary>
    DecayAndClip = WeightDecay | GradientClip,

    /// <summary>All common settings, as AdamW reads them.</summary>
    All = Beta1 | Beta2 | Epsilon | DecayAndClip,
}
