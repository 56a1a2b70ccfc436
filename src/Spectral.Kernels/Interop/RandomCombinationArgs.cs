namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>random_combination_forward</c>: <c>y = base + Σ αᵢ uᵢ</c>, with directions uᵢ drawn again by every
/// launch.
/// </summary>
public struct RandomCombinationArgs
{
    /// <summary>The kernel <c>random_combination_forward</c>; one block per 128 elements.</summary>
    public static readonly KernelEntry<RandomCombinationArgs> Kernel = new(
        "random_combination",
        Launch.RowThreads,
        "random_combination_forward"
    )
    {
        StaticSharedBytes = 4096,
    };

    /// <summary>Device address of the base, [Count] F32; 0 for zeros.</summary>
    public ulong Base;

    /// <summary>Device address of the factors, [N] F32.</summary>
    public ulong Alpha;

    /// <summary>Device address of y, [Count] F32; written; may be the base.</summary>
    public ulong Y;

    /// <summary>Key of the Philox generator, the seed.</summary>
    public ulong Seed;

    /// <summary>
    /// Number of the generator's stream for the first direction; the others take the numbers after it.
    /// </summary>
    public ulong FirstStream;

    /// <summary>Number of elements of y.</summary>
    public long Count;

    /// <summary>Number of directions that are combined.</summary>
    public int N;

    /// <summary>Bound of the directions' elements, which are uniform in [−Bound, Bound).</summary>
    public float Bound;
}

/// <summary>
/// Arguments of <c>random_combination_backward</c>: <c>dαᵢ = uᵢ · dy</c>, as partial sums over chunks.
/// </summary>
public struct RandomCombinationBackwardArgs
{
    /// <summary>The kernel <c>random_combination_backward</c>; one warp per direction and chunk.</summary>
    public static readonly KernelEntry<RandomCombinationBackwardArgs> Kernel = new(
        "random_combination",
        Launch.RowThreads,
        "random_combination_backward"
    );

    /// <summary>Device address of dy, [Count] F32.</summary>
    public ulong Dy;

    /// <summary>Device address of the partial sums, [N, Chunks] F64; written.</summary>
    public ulong Partials;

    /// <summary>Key of the Philox generator, the seed.</summary>
    public ulong Seed;

    /// <summary>
    /// Number of the generator's stream for the first direction; the others take the numbers after it.
    /// </summary>
    public ulong FirstStream;

    /// <summary>Number of elements of dy.</summary>
    public long Count;

    /// <summary>Number of elements that one partial covers, a multiple of 4.</summary>
    public long Chunk;

    /// <summary>Number of directions that are combined.</summary>
    public int N;

    /// <summary>Number of partial sums per direction.</summary>
    public int Chunks;

    /// <summary>Bound of the directions' elements, which are uniform in [−Bound, Bound).</summary>
    public float Bound;
}
