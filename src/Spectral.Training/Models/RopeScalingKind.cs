namespace Spectral.Training.Models;

/// <summary>How rotary angles are stretched beyond the context a model was first trained on.</summary>
public enum RopeScalingKind
{
    /// <summary>Every position divided by the factor.</summary>
    Linear,

    /// <summary>Llama 3: low frequencies divided by the factor, high ones kept, a linear passage between.</summary>
    Llama3,
}
