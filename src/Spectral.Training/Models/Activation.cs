namespace Spectral.Training.Models;

/// <summary>Names the function between the matrices of a feed-forward layer.</summary>
public enum Activation
{
    /// <summary>The swish x / (1 + e⁻ˣ), <c>silu</c>.</summary>
    Silu,

    /// <summary>The Gaussian error linear unit x Φ(x), <c>gelu</c>.</summary>
    Gelu,

    /// <summary>Its approximation by tanh, <c>gelu_pytorch_tanh</c> or <c>gelu_new</c>.</summary>
    GeluTanh,
}
