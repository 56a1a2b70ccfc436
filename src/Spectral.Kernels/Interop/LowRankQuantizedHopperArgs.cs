using System.Runtime.InteropServices;

namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_quantized_sm90.cu</c>: the product with a weight in codes of 4 bits and the low-rank
/// product, added in one accumulator on Hopper GPUs, with the other operands given as tensor maps.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 640)]
public struct LowRankQuantizedHopperArgs
{
    /// <summary>
    /// The kernel of the forward pass, <c>low_rank_quantized_4_hopper_forward_bf16</c>; at most one block per
    /// multiprocessor, which walk 128 × 256 tiles of y.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedHopperArgs> Forward = new(
        "low_rank_quantized_sm90",
        384,
        "low_rank_quantized_4_hopper_forward_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>
    /// The kernel of the input's gradient, <c>low_rank_quantized_4_hopper_input_gradient_bf16</c>; blocks as in
    /// <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankQuantizedHopperArgs> InputGradient = new(
        "low_rank_quantized_sm90",
        384,
        "low_rank_quantized_4_hopper_input_gradient_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>
    /// Map of x, or of dy for the input gradient, [Rows, Depth] BF16, in boxes of 128 rows × 64 columns.
    /// </summary>
    public TensorMap X;

    /// <summary>
    /// Map of the low-rank activations, scaled and multiplied by the middle diagonal, [Rows, Rank] BF16, in boxes of
    /// 128 × 64; not read at rank 0.
    /// </summary>
    public TensorMap Z;

    /// <summary>
    /// Map of the outer factor, BF16: L [Columns, Rank] in boxes of 128 × 64 forward, R [Rank, Columns] in boxes of 64
    /// × 64 for the input gradient; not read at rank 0.
    /// </summary>
    public TensorMap Factor;

    /// <summary>
    /// Map of y, or of dx for the input gradient, [Rows, Columns] BF16, in boxes of 64 × 64; written.
    /// </summary>
    public TensorMap Y;

    /// <summary>
    /// W, the whole weight: [Columns, Depth] forward, [Depth, Columns] for the input gradient. Its columns are a
    /// multiple of 32, and each 32 of a row have one scale.
    /// </summary>
    public QuantizedSource Weight;

    /// <summary>Device address of the bias, [Columns] BF16; 0 for none.</summary>
    public ulong Bias;

    /// <summary>Number of rows of x and y (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of y, a multiple of 8.</summary>
    public int Columns;

    /// <summary>Number of columns of x, the length of the frozen product's sums, a multiple of 8.</summary>
    public int Depth;

    /// <summary>Number of columns of z, a multiple of 8; 0 where there is no low-rank product.</summary>
    public int Rank;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
