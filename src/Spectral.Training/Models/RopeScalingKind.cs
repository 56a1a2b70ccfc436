namespace Spectral.Training.Models;

/// <summary>How rotary angles are scaled beyond the context that a model was first trained on.</summary>
public enum RopeScalingKind
{
    /// <summary>Every position is divided by the factor.</summary>
    Linear,

    /// <summary>
    /// The rule of Llama 3: low frequencies are divided by the factor, high ones are kept, and those between are
    /// interpolated linearly.
    /// </summary>
    Llama3,
}
