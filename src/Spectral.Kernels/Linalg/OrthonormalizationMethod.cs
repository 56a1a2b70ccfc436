namespace Spectral.Kernels.Linalg;

/// <summary>How an orthonormal basis was made.</summary>
public enum OrthonormalizationMethod
{
    /// <summary>Cholesky factor of the Gram matrix, twice (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015).</summary>
    CholeskyQr2,

    /// <summary>
    /// The same with a shifted first factor and a third pass (Fukaya, Kannan, Nakatsukasa, Yamamoto, Yanagisawa 2020).
    /// </summary>
    ShiftedCholeskyQr3,

    /// <summary>Householder reflections: any matrix, also one with dependent or zero rows.</summary>
    Householder,
}
