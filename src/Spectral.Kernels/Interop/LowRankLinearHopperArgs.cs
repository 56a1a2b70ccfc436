using System.Runtime.InteropServices;

namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_linear_sm90.cu</c>: the sum of the frozen and the low-rank product on Hopper GPUs, with
/// operands given as tensor maps.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 704)]
public struct LowRankLinearHopperArgs
{
    /// <summary>
    /// The kernel of the forward pass, <c>low_rank_linear_hopper_forward_bf16</c>; at most one block per
    /// multiprocessor, in clusters of two, which walk 128 × 256 tiles of y.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_forward_bf16"
    )
    {
        ClusterBlocks = 2,
        SharedBytes = 229_632,
    };

    /// <summary>
    /// The kernel of the forward pass for a single row of tiles, <c>low_rank_linear_hopper_forward_single_bf16</c>;
    /// clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> ForwardSingle = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_forward_single_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>
    /// The kernel of the input's gradient, <c>low_rank_linear_hopper_input_gradient_bf16</c>; blocks as in
    /// <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_input_gradient_bf16"
    )
    {
        ClusterBlocks = 2,
        SharedBytes = 229_632,
    };

    /// <summary>
    /// The kernel of the input's gradient for a single row of tiles,
    /// <c>low_rank_linear_hopper_input_gradient_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradientSingle = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_input_gradient_single_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>
    /// Map of x, or of dy for the input gradient, [Rows, Depth] BF16, in boxes of 128 rows × 64 columns.
    /// </summary>
    public TensorMap X;

    /// <summary>
    /// Map of W, BF16: [Columns, Depth] in boxes of 128 × 64 forward, [Depth, Columns] in boxes of 64 × 64 for the
    /// input gradient.
    /// </summary>
    public TensorMap Weight;

    /// <summary>
    /// Map of the low-rank activations, scaled and multiplied by the middle diagonal, [Rows, Rank] BF16, in boxes of
    /// 128 × 64.
    /// </summary>
    public TensorMap Z;

    /// <summary>
    /// Map of the outer factor, BF16: L [Columns, Rank] in boxes of 128 × 64 forward, R [Rank, Columns] in boxes of 64
    /// × 64 for the input gradient.
    /// </summary>
    public TensorMap Factor;

    /// <summary>
    /// Map of y, or of dx for the input gradient, [Rows, Columns] BF16, in boxes of 64 × 64; written.
    /// </summary>
    public TensorMap Y;

    /// <summary>Device address of the bias, [Columns] BF16; 0 for none.</summary>
    public ulong Bias;

    /// <summary>Number of rows of x and y (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of y, a multiple of 8.</summary>
    public int Columns;

    /// <summary>Number of columns of x, the length of the frozen product's sums, a multiple of 8.</summary>
    public int Depth;

    /// <summary>Number of columns of z, the length of the low-rank product's sums, a multiple of 8.</summary>
    public int Rank;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
