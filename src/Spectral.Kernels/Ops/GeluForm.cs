namespace Spectral.Kernels.Ops;

/// <summary>Names a formula of the Gaussian error linear unit.</summary>
public enum GeluForm
{
    /// <summary>The approximation <c>x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2</c>.</summary>
    Tanh,

    /// <summary>The unit itself, <c>x (1 + erf(x / √2)) / 2</c>.</summary>
    Exact,
}
