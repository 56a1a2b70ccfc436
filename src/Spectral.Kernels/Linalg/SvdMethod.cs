namespace Spectral.Kernels.Linalg;

/// <summary>Names the ways to compute a truncated SVD.</summary>
public enum SvdMethod
{
    /// <summary>Exact where the smaller dimension is at most <see cref="Svd.LargestExact"/>, else randomized.</summary>
    Auto,

    /// <summary>Computes all singular values and keeps the first k.</summary>
    Exact,

    /// <summary>Power iterations from a random sketch, which give the first k approximately.</summary>
    Randomized,
}
