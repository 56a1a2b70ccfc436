namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the forward kernels in <c>causal_softmax.cu</c>: scores become probabilities in place.
/// </summary>
public struct CausalSoftmaxForwardArgs
{
    /// <summary>Describes <c>causal_softmax_forward_f32</c> and <c>causal_softmax_forward_bf16</c>.</summary>
    public static readonly KernelEntry<CausalSoftmaxForwardArgs> Kernel = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_forward_f32",
        "causal_softmax_forward_bf16"
    );

    /// <summary>
    /// Device address of the scores, [Rows, Length], element type of the entry; overwritten with probabilities. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Scores;

    /// <summary>Query rows in all: matrices times <see cref="Length"/>.</summary>
    public long Rows;

    /// <summary>Queries, and keys, of one matrix.</summary>
    public int Length;

    /// <summary>Keys that a query sees, its own included; 0: all before it.</summary>
    public int Window;

    /// <summary>Lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;

    /// <summary>Factor of the scores before the softmax.</summary>
    public float Scale;
}

/// <summary>
/// Arguments of the backward kernels in <c>causal_softmax.cu</c>: gradients of probabilities become those of scores in
/// place.
/// </summary>
public struct CausalSoftmaxBackwardArgs
{
    /// <summary>Describes <c>causal_softmax_backward_f32</c> and <c>causal_softmax_backward_bf16</c>.</summary>
    public static readonly KernelEntry<CausalSoftmaxBackwardArgs> Kernel = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_backward_f32",
        "causal_softmax_backward_bf16"
    );

    /// <summary>
    /// Device address of the probabilities, [Rows, Length], element type of the entry. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Probabilities;

    /// <summary>
    /// Device address of their gradient, [Rows, Length], element type of the entry; overwritten with that of the
    /// scores. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>Query rows in all: matrices times <see cref="Length"/>.</summary>
    public long Rows;

    /// <summary>Queries, and keys, of one matrix.</summary>
    public int Length;

    /// <summary>Keys that a query sees, its own included; 0: all before it.</summary>
    public int Window;

    /// <summary>Lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;

    /// <summary>Factor of the scores in the forward pass.</summary>
    public float Scale;
}
