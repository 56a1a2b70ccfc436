namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the forward kernels in <c>causal_softmax.cu</c>: softmax over the keys that each query may see, in
/// place.
/// </summary>
public struct CausalSoftmaxForwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>causal_softmax_forward_f32</c> and <c>causal_softmax_forward_bf16</c>;
    /// <see cref="Lanes"/> lanes per query row.
    /// </summary>
    public static readonly KernelEntry<CausalSoftmaxForwardArgs> Kernel = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_forward_f32",
        "causal_softmax_forward_bf16"
    );

    /// <summary>
    /// The kernels for scores with a soft cap by element type, <c>causal_softmax_forward_capped_f32</c> and
    /// <c>causal_softmax_forward_capped_bf16</c>; <see cref="Lanes"/> lanes per query row.
    /// </summary>
    public static readonly KernelEntry<CausalSoftmaxForwardArgs> Capped = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_forward_capped_f32",
        "causal_softmax_forward_capped_bf16"
    );

    /// <summary>
    /// Device address of the scores, [Rows, Length], element type of the entry; overwritten with the probabilities.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Scores;

    /// <summary>
    /// Device address of the first position of the record of each position and of the one after its last,
    /// [matrices / Heads, Length, 2] I32; 0 if a sequence is one record.
    /// </summary>
    public ulong Spans;

    /// <summary>Number of query rows in all: matrices times <see cref="Length"/>.</summary>
    public long Rows;

    /// <summary>Number of matrices of a sequence.</summary>
    public int Heads;

    /// <summary>Number of queries, and of keys, of one matrix.</summary>
    public int Length;

    /// <summary>Number of keys that a query sees, its own included; 0: its own and all before it.</summary>
    public int Window;

    /// <summary>Number of lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;

    /// <summary>1: a query sees the keys after it too, with <see cref="Window"/> 0; 0: those up to its own.</summary>
    public int Ahead;

    /// <summary>Factor that the scores are multiplied by before the softmax.</summary>
    public float Scale;

    /// <summary>Soft cap of the scaled scores; 0: none.</summary>
    public float Cap;
}

/// <summary>
/// Arguments of the backward kernels in <c>causal_softmax.cu</c>: the gradient of the probabilities turned into that of
/// the scores, in place.
/// </summary>
public struct CausalSoftmaxBackwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>causal_softmax_backward_f32</c> and <c>causal_softmax_backward_bf16</c>;
    /// <see cref="Lanes"/> lanes per query row.
    /// </summary>
    public static readonly KernelEntry<CausalSoftmaxBackwardArgs> Kernel = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_backward_f32",
        "causal_softmax_backward_bf16"
    );

    /// <summary>
    /// The kernels for scores with a soft cap by element type, <c>causal_softmax_backward_capped_f32</c> and
    /// <c>causal_softmax_backward_capped_bf16</c>; <see cref="Lanes"/> lanes per query row.
    /// </summary>
    public static readonly KernelEntry<CausalSoftmaxBackwardArgs> Capped = new(
        "causal_softmax",
        Launch.RowThreads,
        "causal_softmax_backward_capped_f32",
        "causal_softmax_backward_capped_bf16"
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

    /// <summary>
    /// Device address of the scores before the softmax, [Rows, Length], element type of the entry; 0 without a soft
    /// cap. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Scores;

    /// <summary>
    /// Device address of the first position of the record of each position and of the one after its last,
    /// [matrices / Heads, Length, 2] I32; 0 if a sequence is one record.
    /// </summary>
    public ulong Spans;

    /// <summary>Number of query rows in all: matrices times <see cref="Length"/>.</summary>
    public long Rows;

    /// <summary>Number of matrices of a sequence.</summary>
    public int Heads;

    /// <summary>Number of queries, and of keys, of one matrix.</summary>
    public int Length;

    /// <summary>Number of keys that a query sees, its own included; 0: its own and all before it.</summary>
    public int Window;

    /// <summary>Number of lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;

    /// <summary>1: a query sees the keys after it too, with <see cref="Window"/> 0; 0: those up to its own.</summary>
    public int Ahead;

    /// <summary>Factor that the scores were multiplied by in the forward pass.</summary>
    public float Scale;

    /// <summary>Soft cap of the scaled scores in the forward pass; 0: none.</summary>
    public float Cap;
}
