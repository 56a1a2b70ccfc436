namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the decode kernels in <c>attention.cu</c>: attention of one new query per sequence over cached keys and
/// values.
/// </summary>
public struct AttentionDecodeArgs
{
    /// <summary>
    /// The kernels by element type, <c>attention_decode_f32</c> and <c>attention_decode_bf16</c>; one block per query
    /// head and sequence, the heads of one after another.
    /// </summary>
    public static readonly KernelEntry<AttentionDecodeArgs> Kernel = new(
        "attention",
        128,
        "attention_decode_f32",
        "attention_decode_bf16"
    )
    {
        StaticSharedBytes = 2688,
    };

    /// <summary>
    /// Device address of the queries, [batch, Heads, HeadDim], element type of the entry. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Q;

    /// <summary>
    /// Device address of the cached keys, [batch, KvHeads, Positions, HeadDim], element type of the entry. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Keys;

    /// <summary>
    /// Device address of the cached values, [batch, KvHeads, Positions, HeadDim], element type of the entry. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Values;

    /// <summary>Device address of the number of cached keys per sequence, the new one included, [batch] I32.</summary>
    public ulong Lengths;

    /// <summary>
    /// Device address of the result, [batch, Heads, HeadDim], element type of the entry; written. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Output;

    /// <summary>Number of query heads, a multiple of <see cref="KvHeads"/>.</summary>
    public int Heads;

    /// <summary>Number of key/value heads.</summary>
    public int KvHeads;

    /// <summary>Number of positions that the cache has room for.</summary>
    public int Positions;

    /// <summary>Number of elements of one head, at most 512.</summary>
    public int HeadDim;

    /// <summary>Number of keys that a query sees, its own included; 0: its own and all before it.</summary>
    public int Window;

    /// <summary>Factor that the scores are multiplied by before the softmax.</summary>
    public float Scale;

    /// <summary>Soft cap of the scaled scores; 0: none.</summary>
    public float Cap;
}

/// <summary>
/// Arguments of the append kernels in <c>attention.cu</c>: new keys, or new values, copied into a cache.
/// </summary>
public struct AttentionAppendArgs
{
    /// <summary>
    /// The kernels by element type, <c>attention_append_f32</c> and <c>attention_append_bf16</c>; one warp per row of
    /// the source.
    /// </summary>
    public static readonly KernelEntry<AttentionAppendArgs> Kernel = new(
        "attention",
        Launch.RowThreads,
        "attention_append_f32",
        "attention_append_bf16"
    );

    /// <summary>
    /// Device address of the new rows, [Batch, KvHeads, Length, HeadDim], element type of the entry. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>Device address of each sequence's first position in the cache for its new rows, [Batch] I32.</summary>
    public ulong Offsets;

    /// <summary>
    /// Device address of the cache, [Batch, KvHeads, Positions, HeadDim], element type of the entry; written. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Cache;

    /// <summary>Number of sequences in the batch.</summary>
    public int Batch;

    /// <summary>Number of key/value heads.</summary>
    public int KvHeads;

    /// <summary>Number of new positions of each sequence.</summary>
    public int Length;

    /// <summary>Number of positions that the cache has room for; rows beyond them are not copied.</summary>
    public int Positions;

    /// <summary>Number of elements of one head.</summary>
    public int HeadDim;
}
