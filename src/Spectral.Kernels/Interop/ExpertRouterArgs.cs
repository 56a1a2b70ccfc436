namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the forward kernels in <c>expert_router.cu</c>: the experts of each token.</summary>
public struct ExpertRouterForwardArgs
{
    /// <summary>
    /// The kernels by type of the logits, <c>expert_router_forward_f32</c> and <c>expert_router_forward_bf16</c>; one
    /// warp per token.
    /// </summary>
    public static readonly KernelEntry<ExpertRouterForwardArgs> Kernel = new(
        "expert_router",
        Launch.RowThreads,
        "expert_router_forward_f32",
        "expert_router_forward_bf16"
    );

    /// <summary>Device address of the logits, [Tokens, Experts], element type of the entry.</summary>
    public ulong Logits;

    /// <summary>Device address of the softmax of each token's logits, [Tokens, Experts] F32; written.</summary>
    public ulong Probabilities;

    /// <summary>
    /// Device address of the chosen experts, [Tokens, K] I32, the most probable of a token first; written.
    /// </summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Tokens, K] F32; written.</summary>
    public ulong Weight;

    /// <summary>Number of rows of the logits.</summary>
    public int Tokens;

    /// <summary>Number of columns of the logits.</summary>
    public int Experts;

    /// <summary>Number of experts per token.</summary>
    public int K;

    /// <summary>1: the weights of a token sum to 1. 0: they are its probabilities.</summary>
    public int Normalised;
}

/// <summary>Arguments of the backward kernels in <c>expert_router.cu</c>: the gradient of the logits.</summary>
public struct ExpertRouterBackwardArgs
{
    /// <summary>
    /// The kernels by type of the logits, <c>expert_router_backward_f32</c> and <c>expert_router_backward_bf16</c>; one
    /// warp per token.
    /// </summary>
    public static readonly KernelEntry<ExpertRouterBackwardArgs> Kernel = new(
        "expert_router",
        Launch.RowThreads,
        "expert_router_backward_f32",
        "expert_router_backward_bf16"
    );

    /// <summary>Device address of the softmax of each token's logits, [Tokens, Experts] F32.</summary>
    public ulong Probabilities;

    /// <summary>Device address of the chosen experts, [Tokens, K] I32.</summary>
    public ulong Index;

    /// <summary>Device address of their weights, [Tokens, K] F32.</summary>
    public ulong Weight;

    /// <summary>Device address of the gradient of the weights, [Tokens, K] F32; 0: it is zero.</summary>
    public ulong DWeight;

    /// <summary>
    /// Device address of a gradient that every probability of an expert has, [Experts] F32; 0: it is zero.
    /// </summary>
    public ulong Slope;

    /// <summary>Device address of the factor of <see cref="Slope"/> for each token, [Tokens] F32; 0: it is 1.</summary>
    public ulong Mask;

    /// <summary>
    /// Device address of the gradient of the logits, [Tokens, Experts], element type of the entry; written.
    /// </summary>
    public ulong DLogits;

    /// <summary>Number of rows of the logits.</summary>
    public int Tokens;

    /// <summary>Number of columns of the logits.</summary>
    public int Experts;

    /// <summary>Number of experts per token.</summary>
    public int K;

    /// <summary>1 where the forward pass made the weights of a token sum to 1, otherwise 0.</summary>
    public int Normalised;
}
