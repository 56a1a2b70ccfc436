namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>random_combination_forward</c>: <c>y = base + Σ αᵢ uᵢ</c> of directions drawn anew.
/// </summary>
public struct RandomCombinationArgs
{
    /// <summary>Describes <c>random_combination_forward</c>.</summary>
    public static readonly KernelEntry<RandomCombinationArgs> Kernel = new(
        "random_combination",
        Launch.RowThreads,
        "random_combination_forward"
    );

    /// <summary>Device address of the base, [Count] F32; 0: zeros.</summary>
    public ulong Base;

    /// <summary>Device address of the factors, [N] F32.</summary>
    public ulong Alpha;

    /// <summary>Device address of y, [Count] F32; written; may be the base.</summary>
    public ulong Y;

    /// <summary>Key of the Philox generator.</summary>
    public ulong Seed;

    /// <summary>Stream of the first direction; the others follow it.</summary>
    public ulong FirstStream;

    /// <summary>Elements of y.</summary>
    public long Count;

    /// <summary>Directions.</summary>
    public int N;

    /// <summary>Elements of a direction are uniform between −Bound and Bound.</summary>
    public float Bound;
}

/// <summary>Arguments of <c>random_combination_backward</c>: <c>dα = uᵢ · dy</c>, in chunks.</summary>
public struct RandomCombinationBackwardArgs
{
    /// <summary>Describes <c>random_combination_backward</c>.</summary>
    public static readonly KernelEntry<RandomCombinationBackwardArgs> Kernel = new(
        "random_combination",
        Launch.RowThreads,
        "random_combination_backward"
    );

    /// <summary>Device address of dy, [Count] F32.</summary>
    public ulong Dy;

    /// <summary>Device address of the partial sums, [N, Chunks] F64; written.</summary>
    public ulong Partials;

    /// <summary>Key of the Philox generator.</summary>
    public ulong Seed;

    /// <summary>Stream of the first direction; the others follow it.</summary>
    public ulong FirstStream;

    /// <summary>Elements of dy.</summary>
    public long Count;

    /// <summary>Elements that one partial covers, a multiple of 4.</summary>
    public long Chunk;

    /// <summary>Directions.</summary>
    public int N;

    /// <summary>Partials per direction.</summary>
    public int Chunks;

    /// <summary>Elements of a direction are uniform between −Bound and Bound.</summary>
    public float Bound;
}
