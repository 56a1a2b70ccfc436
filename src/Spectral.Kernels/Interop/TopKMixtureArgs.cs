namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>top_k_select</c>: the k largest logits of each piece and their softmax.</summary>
public struct TopKSelectArgs
{
    /// <summary>Describes <c>top_k_select</c>.</summary>
    public static readonly KernelEntry<TopKSelectArgs> Kernel = new("top_k_mixture", Launch.RowThreads, "top_k_select");

    /// <summary>Device address of the logits, [Pieces, N] F32.</summary>
    public ulong Logits;

    /// <summary>Device address of the chosen vectors, [Pieces, K] I32, the largest logit first; written.</summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Pieces, K] F32; written.</summary>
    public ulong Weight;

    /// <summary>Rows of the logits.</summary>
    public int Pieces;

    /// <summary>Vectors of the bank.</summary>
    public int N;

    /// <summary>Vectors chosen per piece, at most 8.</summary>
    public int K;
}

/// <summary>Arguments of the mixtures in <c>top_k_mixture.cu</c> and of their adjoints.</summary>
public struct TopKMixtureArgs
{
    /// <summary>Describes <c>top_k_mixture_forward</c>.</summary>
    public static readonly KernelEntry<TopKMixtureArgs> Forward = new(
        "top_k_mixture",
        Launch.FlatThreads,
        "top_k_mixture_forward"
    );

    /// <summary>Describes <c>top_k_mixture_backward_logits</c>.</summary>
    public static readonly KernelEntry<TopKMixtureArgs> BackwardLogits = new(
        "top_k_mixture",
        Launch.RowThreads,
        "top_k_mixture_backward_logits"
    );

    /// <summary>Describes <c>top_k_mixture_backward_bank</c>.</summary>
    public static readonly KernelEntry<TopKMixtureArgs> BackwardBank = new(
        "top_k_mixture",
        Launch.FlatThreads,
        "top_k_mixture_backward_bank"
    );

    /// <summary>Device address of the bank of vectors, [N, Length] F32.</summary>
    public ulong Bank;

    /// <summary>Device address of the chosen vectors, [Pieces, K] I32.</summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Pieces, K] F32.</summary>
    public ulong Weight;

    /// <summary>Device address of dy, [Pieces, Length] F32; 0 in the forward pass.</summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the result, F32: y [Pieces, Length], the logits' gradient [Pieces, N] or the bank's [N,
    /// Length].
    /// </summary>
    public ulong Result;

    /// <summary>Mixtures.</summary>
    public int Pieces;

    /// <summary>Vectors of the bank.</summary>
    public int N;

    /// <summary>Elements of a vector.</summary>
    public int Length;

    /// <summary>Vectors chosen per piece, at most 8.</summary>
    public int K;

    /// <summary>1: add to what a gradient holds; 0: overwrite.</summary>
    public int Accumulate;
}
