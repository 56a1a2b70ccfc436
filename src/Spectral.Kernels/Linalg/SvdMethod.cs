namespace Spectral.Kernels.Linalg;

/// <summary>Ways to compute a truncated SVD.</summary>
public enum SvdMethod
{
    /// <summary>Exact where the smaller dimension is at most <see cref="Svd.LargestExact"/>, else randomized.</summary>
    Auto,

    /// <summary>All singular values, then the first k.</summary>
    Exact,

    /// <summary>Power iterations from a random sketch.</summary>
    Randomized,
}
