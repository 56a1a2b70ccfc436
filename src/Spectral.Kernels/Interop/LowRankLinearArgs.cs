namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_linear.cu</c>: the frozen and the low-rank product in one accumulator, BF16.
/// </summary>
public struct LowRankLinearArgs
{
    /// <summary>Describes <c>low_rank_linear_forward_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearArgs> Forward = new(
        "low_rank_linear",
        128,
        "low_rank_linear_forward_bf16"
    )
    {
        SharedBytes = 49_152,
    };

    /// <summary>Describes <c>low_rank_linear_input_gradient_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearArgs> InputGradient = new(
        "low_rank_linear",
        128,
        "low_rank_linear_input_gradient_bf16"
    )
    {
        SharedBytes = 49_152,
    };

    /// <summary>Device address of x, or dy, [Rows, Depth] BF16. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>
    /// Device address of W, BF16: [Columns, Depth] forward, [Depth, Columns] for the input gradient. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Weight;

    /// <summary>
    /// Device address of the low-rank activations, scaled and times the middle diagonal, [Rows, Rank] BF16. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the outer factor, BF16: L [Columns, Rank] forward, R [Rank, Columns] for the input gradient.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Factor;

    /// <summary>
    /// Device address of the bias, [Columns] BF16; 0: none. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Bias;

    /// <summary>
    /// Device address of y, or dx, [Rows, Columns] BF16; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Rows of x and y (tokens).</summary>
    public int Rows;

    /// <summary>Columns of y.</summary>
    public int Columns;

    /// <summary>Columns of x, the length of the frozen product's sums.</summary>
    public int Depth;

    /// <summary>Columns of z, the length of the low-rank product's sums.</summary>
    public int Rank;

    /// <summary>1: add to what y holds; 0: overwrite.</summary>
    public int Accumulate;
}
