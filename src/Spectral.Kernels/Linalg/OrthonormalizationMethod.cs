namespace Spectral.Kernels.Linalg;

/// <summary>Names the ways to make an orthonormal basis.</summary>
public enum OrthonormalizationMethod
{
    /// <summary>
    /// Cholesky factor of the Gram matrix, used twice (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015).
    /// </summary>
    CholeskyQr2,

    /// <summary>
    /// Like <see cref="CholeskyQr2"/>, with a shifted first factor and a third pass (Fukaya, Kannan, Nakatsukasa,
    /// Yamamoto, Yanagisawa 2020).
    /// </summary>
    ShiftedCholeskyQr3,

    /// <summary>Householder reflections, for any matrix, also one with dependent or zero rows.</summary>
    Householder,
}
