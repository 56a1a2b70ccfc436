namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_linear.cu</c>: the product with a frozen weight and the low-rank product, added in one
/// accumulator, BF16.
/// </summary>
public struct LowRankLinearArgs
{
    /// <summary>
    /// The kernel of the forward pass, <c>low_rank_linear_forward_bf16</c>; one block per 128 × 128 tile of y.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearArgs> Forward = new(
        "low_rank_linear",
        128,
        "low_rank_linear_forward_bf16"
    )
    {
        SharedBytes = 49_152,
    };

    /// <summary>
    /// The kernel of the input's gradient, <c>low_rank_linear_input_gradient_bf16</c>; one block per 128 × 128 tile of
    /// dx.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearArgs> InputGradient = new(
        "low_rank_linear",
        128,
        "low_rank_linear_input_gradient_bf16"
    )
    {
        SharedBytes = 49_152,
    };

    /// <summary>
    /// Device address of x, or dy for the input gradient, [Rows, Depth] BF16. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of W, BF16: [Columns, Depth] forward, [Depth, Columns] for the input gradient. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Weight;

    /// <summary>
    /// Device address of the low-rank activations, scaled and multiplied by the middle diagonal, [Rows, Rank] BF16.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the outer factor, BF16: L [Columns, Rank] forward, R [Rank, Columns] for the input gradient.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Factor;

    /// <summary>
    /// Device address of the bias, [Columns] BF16; 0 for none. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Bias;

    /// <summary>
    /// Device address of y, or dx for the input gradient, [Rows, Columns] BF16; written. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of rows of x and y (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of y.</summary>
    public int Columns;

    /// <summary>Number of columns of x, the length of the frozen product's sums.</summary>
    public int Depth;

    /// <summary>Number of columns of z, the length of the low-rank product's sums.</summary>
    public int Rank;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
