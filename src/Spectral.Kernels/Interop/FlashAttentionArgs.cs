namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the forward kernels in <c>flash_attention.cu</c>: causal attention of whole sequences, BF16.
/// </summary>
public struct FlashAttentionArgs
{
    /// <summary>
    /// The kernel for head dimensions up to 64, <c>flash_attention_forward_64</c>; one block per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionArgs> Narrow = new(
        "flash_attention",
        128,
        "flash_attention_forward_64"
    )
    {
        SharedBytes = 66_048,
    };

    /// <summary>
    /// The kernel for head dimensions up to 64 with a soft cap, <c>flash_attention_capped_forward_64</c>; one block per
    /// head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionArgs> NarrowCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_forward_64"
    )
    {
        SharedBytes = 66_048,
    };

    /// <summary>
    /// The kernel for head dimensions up to 128, <c>flash_attention_forward_128</c>; one block per head and 128
    /// queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionArgs> Wide = new(
        "flash_attention",
        128,
        "flash_attention_forward_128"
    )
    {
        SharedBytes = 82_432,
    };

    /// <summary>
    /// The kernel for head dimensions up to 128 with a soft cap, <c>flash_attention_capped_forward_128</c>; one block
    /// per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionArgs> WideCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_forward_128"
    )
    {
        SharedBytes = 82_432,
    };

    /// <summary>Device address of the queries, [Batch, Heads, Length, HeadDim] BF16; 16-byte aligned.</summary>
    public ulong Q;

    /// <summary>Device address of the keys, [Batch, KvHeads, Length, HeadDim] BF16; 16-byte aligned.</summary>
    public ulong K;

    /// <summary>
    /// Device address of the values, [Batch · Length, KvHeads · HeadDim] BF16, rows <see cref="VStride"/> apart;
    /// 16-byte aligned.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of the result, [Batch · Length, Heads · HeadDim] BF16, rows <see cref="OutputStride"/> apart;
    /// written; 16-byte aligned.
    /// </summary>
    public ulong Output;

    /// <summary>
    /// Device address of the logarithm of each query's softmax sum, [Batch, Heads, Length] F32; written.
    /// </summary>
    public ulong Lse;

    /// <summary>
    /// Device address of the first position of the record of each position and of the one after its last,
    /// [Batch, Length, 2] I32; 0 if a sequence is one record.
    /// </summary>
    public ulong Spans;

    /// <summary>Number of sequences in the batch.</summary>
    public int Batch;

    /// <summary>Number of query heads, a multiple of <see cref="KvHeads"/>.</summary>
    public int Heads;

    /// <summary>Number of key/value heads.</summary>
    public int KvHeads;

    /// <summary>Number of positions of a sequence.</summary>
    public int Length;

    /// <summary>Number of elements of one head, a multiple of 8 up to 128.</summary>
    public int HeadDim;

    /// <summary>Stride between rows of v, in elements, a multiple of 8.</summary>
    public int VStride;

    /// <summary>Stride between rows of the output, in elements, a multiple of 8.</summary>
    public int OutputStride;

    /// <summary>Number of keys that a query sees, its own included; 0: its own and all before it.</summary>
    public int Window;

    /// <summary>Factor that the scores are multiplied by before the softmax.</summary>
    public float Scale;

    /// <summary>Soft cap of the scaled scores, read by the capped kernels.</summary>
    public float Cap;
}

/// <summary>
/// Arguments of the backward kernels in <c>flash_attention.cu</c>: the gradients of queries, keys and values.
/// </summary>
public struct FlashAttentionGradientArgs
{
    /// <summary>
    /// The kernel that prepares <see cref="Delta"/> for the others, <c>flash_attention_delta</c>; 8 lanes per row.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> Deltas = new(
        "flash_attention",
        Launch.RowThreads,
        "flash_attention_delta"
    );

    /// <summary>
    /// The kernel of the queries' gradient for head dimensions up to 64, <c>flash_attention_query_gradient_64</c>; one
    /// block per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> QueryNarrow = new(
        "flash_attention",
        128,
        "flash_attention_query_gradient_64"
    )
    {
        SharedBytes = 50_688,
    };

    /// <summary>
    /// The kernel of the queries' gradient for head dimensions up to 64 with a soft cap,
    /// <c>flash_attention_capped_query_gradient_64</c>; one block per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> QueryNarrowCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_query_gradient_64"
    )
    {
        SharedBytes = 50_688,
    };

    /// <summary>
    /// The kernel of the queries' gradient for head dimensions up to 128, <c>flash_attention_query_gradient_128</c>;
    /// one block per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> QueryWide = new(
        "flash_attention",
        128,
        "flash_attention_query_gradient_128"
    )
    {
        SharedBytes = 99_840,
    };

    /// <summary>
    /// The kernel of the queries' gradient for head dimensions up to 128 with a soft cap,
    /// <c>flash_attention_capped_query_gradient_128</c>; one block per head and 128 queries.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> QueryWideCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_query_gradient_128"
    )
    {
        SharedBytes = 99_840,
    };

    /// <summary>
    /// The kernel of the keys' and values' gradients for head dimensions up to 64,
    /// <c>flash_attention_key_gradient_64</c>; one block per key/value head and 128 keys.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> KeyNarrow = new(
        "flash_attention",
        128,
        "flash_attention_key_gradient_64"
    )
    {
        SharedBytes = 50_176,
    };

    /// <summary>
    /// The kernel of the keys' and values' gradients for head dimensions up to 64 with a soft cap,
    /// <c>flash_attention_capped_key_gradient_64</c>; one block per key/value head and 128 keys.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> KeyNarrowCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_key_gradient_64"
    )
    {
        SharedBytes = 50_176,
    };

    /// <summary>
    /// The kernel of the keys' and values' gradients for head dimensions up to 128,
    /// <c>flash_attention_key_gradient_128</c>; one block per key/value head and 64 keys.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> KeyWide = new(
        "flash_attention",
        128,
        "flash_attention_key_gradient_128"
    )
    {
        SharedBytes = 66_304,
    };

    /// <summary>
    /// The kernel of the keys' and values' gradients for head dimensions up to 128 with a soft cap,
    /// <c>flash_attention_capped_key_gradient_128</c>; one block per key/value head and 64 keys.
    /// </summary>
    public static readonly KernelEntry<FlashAttentionGradientArgs> KeyWideCapped = new(
        "flash_attention",
        128,
        "flash_attention_capped_key_gradient_128"
    )
    {
        SharedBytes = 66_304,
    };

    /// <summary>Device address of the queries, [Batch, Heads, Length, HeadDim] BF16; 16-byte aligned.</summary>
    public ulong Q;

    /// <summary>Device address of the keys, [Batch, KvHeads, Length, HeadDim] BF16; 16-byte aligned.</summary>
    public ulong K;

    /// <summary>
    /// Device address of the values, [Batch · Length, KvHeads · HeadDim] BF16, rows <see cref="VStride"/> apart;
    /// 16-byte aligned.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of the forward result, [Batch · Length, Heads · HeadDim] BF16, rows <see cref="OutputStride"/>
    /// apart; 16-byte aligned.
    /// </summary>
    public ulong Output;

    /// <summary>
    /// Device address of its gradient, [Batch · Length, Heads · HeadDim] BF16, rows <see cref="DOutputStride"/> apart;
    /// 16-byte aligned.
    /// </summary>
    public ulong DOutput;

    /// <summary>Device address of the logarithm of each query's softmax sum, [Batch, Heads, Length] F32.</summary>
    public ulong Lse;

    /// <summary>
    /// Device address of the row sums of dOutput ∘ output, [Batch, Heads, Length] F32; written by the delta kernel,
    /// read by the others.
    /// </summary>
    public ulong Delta;

    /// <summary>
    /// Device address of the gradient of q, [Batch, Heads, Length, HeadDim] BF16; written by the query kernels; 16-byte
    /// aligned.
    /// </summary>
    public ulong Dq;

    /// <summary>
    /// Device address of the gradient of k, [Batch, KvHeads, Length, HeadDim] BF16; written by the key kernels; 16-byte
    /// aligned.
    /// </summary>
    public ulong Dk;

    /// <summary>
    /// Device address of the gradient of v, [Batch · Length, KvHeads · HeadDim] BF16, rows <see cref="DvStride"/>
    /// apart; written by the key kernels; 16-byte aligned.
    /// </summary>
    public ulong Dv;

    /// <summary>
    /// Device address of the first position of the record of each position and of the one after its last,
    /// [Batch, Length, 2] I32; 0 if a sequence is one record.
    /// </summary>
    public ulong Spans;

    /// <summary>Number of sequences in the batch.</summary>
    public int Batch;

    /// <summary>Number of query heads, a multiple of <see cref="KvHeads"/>.</summary>
    public int Heads;

    /// <summary>Number of key/value heads.</summary>
    public int KvHeads;

    /// <summary>Number of positions of a sequence.</summary>
    public int Length;

    /// <summary>Number of elements of one head, a multiple of 8 up to 128.</summary>
    public int HeadDim;

    /// <summary>Stride between rows of v, in elements, a multiple of 8.</summary>
    public int VStride;

    /// <summary>Stride between rows of the output, in elements, a multiple of 8.</summary>
    public int OutputStride;

    /// <summary>Stride between rows of dOutput, in elements, a multiple of 8.</summary>
    public int DOutputStride;

    /// <summary>Stride between rows of dv, in elements, a multiple of 8.</summary>
    public int DvStride;

    /// <summary>Number of keys that a query sees, its own included; 0: its own and all before it.</summary>
    public int Window;

    /// <summary>Factor that the scores are multiplied by before the softmax.</summary>
    public float Scale;

    /// <summary>Soft cap of the scaled scores, read by the capped kernels.</summary>
    public float Cap;
}
