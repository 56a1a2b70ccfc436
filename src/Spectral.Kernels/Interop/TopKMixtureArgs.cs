namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>top_k_select</c>: the k largest logits of each row, and their softmax.</summary>
public struct TopKSelectArgs
{
    /// <summary>The kernel <c>top_k_select</c>; one warp per row of logits.</summary>
    public static readonly KernelEntry<TopKSelectArgs> Kernel = new("top_k_mixture", Launch.RowThreads, "top_k_select");

    /// <summary>Device address of the logits, [Pieces, N] F32.</summary>
    public ulong Logits;

    /// <summary>
    /// Device address of the indices of the chosen vectors, [Pieces, K] I32, that of the largest logit first; written.
    /// </summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Pieces, K] F32; written.</summary>
    public ulong Weight;

    /// <summary>Number of rows of the logits.</summary>
    public int Pieces;

    /// <summary>Number of columns of the logits, the vectors in the bank.</summary>
    public int N;

    /// <summary>Number of vectors chosen per piece, at most 8.</summary>
    public int K;
}

/// <summary>Arguments of the mixtures of vectors in <c>top_k_mixture.cu</c> and of their backward kernels.</summary>
public struct TopKMixtureArgs
{
    /// <summary>The kernel of the forward pass, <c>top_k_mixture_forward</c>; one thread per element of y.</summary>
    public static readonly KernelEntry<TopKMixtureArgs> Forward = new(
        "top_k_mixture",
        Launch.FlatThreads,
        "top_k_mixture_forward"
    );

    /// <summary>
    /// The kernel of the logits' gradient, <c>top_k_mixture_backward_logits</c>; one warp per mixture.
    /// </summary>
    public static readonly KernelEntry<TopKMixtureArgs> BackwardLogits = new(
        "top_k_mixture",
        Launch.RowThreads,
        "top_k_mixture_backward_logits"
    );

    /// <summary>
    /// The kernel of the bank's gradient, <c>top_k_mixture_backward_bank</c>; one thread per element of the bank.
    /// </summary>
    public static readonly KernelEntry<TopKMixtureArgs> BackwardBank = new(
        "top_k_mixture",
        Launch.FlatThreads,
        "top_k_mixture_backward_bank"
    );

    /// <summary>Device address of the bank of vectors, [N, Length] F32.</summary>
    public ulong Bank;

    /// <summary>Device address of the indices of the chosen vectors, [Pieces, K] I32.</summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Pieces, K] F32.</summary>
    public ulong Weight;

    /// <summary>Device address of dy, [Pieces, Length] F32; 0 in the forward pass.</summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the result, F32: y [Pieces, Length], the gradient of the logits [Pieces, N], or that of the
    /// bank [N, Length]; written, gradients also added to.
    /// </summary>
    public ulong Result;

    /// <summary>Number of mixtures, one per row of y.</summary>
    public int Pieces;

    /// <summary>Number of vectors in the bank.</summary>
    public int N;

    /// <summary>Number of elements of a vector.</summary>
    public int Length;

    /// <summary>Number of vectors chosen per piece, at most 8.</summary>
    public int K;

    /// <summary>1 to add to a gradient, 0 to overwrite.</summary>
    public int Accumulate;
}
