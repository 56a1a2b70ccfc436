namespace Spectral.Kernels.Ops;

/// <summary>
/// The coefficients of a Newton–Schulz step <c>X ← a X + (b A + c A²) X, A = X Xᵀ</c>, which moves each singular value
/// by the polynomial <c>a σ + b σ³ + c σ⁵</c>.
/// </summary>
/// <param name="Linear">The coefficient a of the matrix itself.</param>
/// <param name="Cubic">The coefficient b of its third power.</param>
/// <param name="Quintic">The coefficient c of its fifth power.</param>
public readonly record struct NewtonSchulz(float Linear, float Cubic, float Quintic)
{
    /// <summary>The coefficients of Muon (Jordan et al. 2024), for matrices of any shape.</summary>
    public static readonly NewtonSchulz Muon = new(3.4445f, -4.7750f, 2.0315f);
}
