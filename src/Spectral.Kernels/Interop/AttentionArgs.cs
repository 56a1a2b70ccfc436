namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the decode kernels in <c>attention.cu</c>: one new query per sequence over a cache.</summary>
public struct AttentionDecodeArgs
{
    /// <summary>Describes <c>attention_decode_f32</c> and <c>attention_decode_bf16</c>.</summary>
    public static readonly KernelEntry<AttentionDecodeArgs> Kernel = new(
        "attention",
        128,
        "attention_decode_f32",
        "attention_decode_bf16"
    );

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

    /// <summary>Query heads, a multiple of <see cref="KvHeads"/>.</summary>
    public int Heads;

    /// <summary>Key/value heads.</summary>
    public int KvHeads;

    /// <summary>Positions that the cache has room for.</summary>
    public int Positions;

    /// <summary>Elements per head, at most 512.</summary>
    public int HeadDim;

    /// <summary>Keys that a query sees, its own included; 0: all before it.</summary>
    public int Window;

    /// <summary>Factor of the scores before the softmax.</summary>
    public float Scale;
}

/// <summary>Arguments of the append kernels in <c>attention.cu</c>: new keys or values written into a cache.</summary>
public struct AttentionAppendArgs
{
    /// <summary>Describes <c>attention_append_f32</c> and <c>attention_append_bf16</c>.</summary>
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

    /// <summary>Device address of the position at which each sequence goes on, [Batch] I32.</summary>
    public ulong Offsets;

    /// <summary>
    /// Device address of the cache, [Batch, KvHeads, Positions, HeadDim], element type of the entry; written. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Cache;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Key/value heads.</summary>
    public int KvHeads;

    /// <summary>New positions per sequence.</summary>
    public int Length;

    /// <summary>Positions that the cache has room for; rows beyond them are left out.</summary>
    public int Positions;

    /// <summary>Elements per head.</summary>
    public int HeadDim;
}
