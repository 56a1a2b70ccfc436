namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_quantized.cu</c>: the product with a weight in codes of 4 or 8 bits and the low-rank
/// product, added in one accumulator, BF16.
/// </summary>
public struct LowRankQuantizedArgs
{
    /// <summary>
    /// The kernel of the forward pass for codes of 4 bits, <c>low_rank_quantized_4_forward_bf16</c>; one
    /// block per 128 × 128 tile of y.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedArgs> ForwardFourBits = new(
        "low_rank_quantized",
        128,
        "low_rank_quantized_4_forward_bf16"
    )
    {
        SharedBytes = 49_216,
    };

    /// <summary>
    /// The kernel of the input's gradient for codes of 4 bits, <c>low_rank_quantized_4_input_gradient_bf16</c>; one
    /// block per 128 × 128 tile of dx.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedArgs> InputGradientFourBits = new(
        "low_rank_quantized",
        128,
        "low_rank_quantized_4_input_gradient_bf16"
    )
    {
        SharedBytes = 49_216,
    };

    /// <summary>
    /// The kernel of the forward pass for codes of 8 bits, <c>low_rank_quantized_8_forward_bf16</c>; one
    /// block per 128 × 128 tile of y.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedArgs> ForwardEightBits = new(
        "low_rank_quantized",
        128,
        "low_rank_quantized_8_forward_bf16"
    )
    {
        SharedBytes = 50_176,
    };

    /// <summary>
    /// The kernel of the input's gradient for codes of 8 bits, <c>low_rank_quantized_8_input_gradient_bf16</c>; one
    /// block per 128 × 128 tile of dx.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedArgs> InputGradientEightBits = new(
        "low_rank_quantized",
        128,
        "low_rank_quantized_8_input_gradient_bf16"
    )
    {
        SharedBytes = 50_176,
    };

    /// <summary>
    /// W, the whole weight: [Columns, Depth] forward, [Depth, Columns] for the input gradient. Its columns are a
    /// multiple of 32, and each 32 of a row have one scale.
    /// </summary>
    public QuantizedSource Weight;

    /// <summary>
    /// Device address of x, or dy for the input gradient, [Rows, Depth] BF16. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

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

    /// <summary>Number of columns of z, the length of the low-rank product's sums; 0 where there is none.</summary>
    public int Rank;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
