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
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward = Entry(
        "low_rank_linear_hopper_forward_bf16",
        2
    );

    /// <summary>
    /// The kernel of the forward pass for a single row of 128 × 256 tiles,
    /// <c>low_rank_linear_hopper_forward_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> ForwardSingle = Entry(
        "low_rank_linear_hopper_forward_single_bf16",
        1
    );

    /// <summary>
    /// The kernel of the forward pass in 128 × 128 tiles,
    /// <c>low_rank_linear_hopper_forward_128_bf16</c>; blocks as in <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward128 = Entry(
        "low_rank_linear_hopper_forward_128_bf16",
        2
    );

    /// <summary>
    /// The kernel of the forward pass for a single row of 128 × 128 tiles,
    /// <c>low_rank_linear_hopper_forward_128_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward128Single = Entry(
        "low_rank_linear_hopper_forward_128_single_bf16",
        1
    );

    /// <summary>
    /// The kernel of the forward pass in 128 × 64 tiles,
    /// <c>low_rank_linear_hopper_forward_64_bf16</c>; blocks as in <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward64 = Entry(
        "low_rank_linear_hopper_forward_64_bf16",
        2
    );

    /// <summary>
    /// The kernel of the forward pass for a single row of 128 × 64 tiles,
    /// <c>low_rank_linear_hopper_forward_64_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward64Single = Entry(
        "low_rank_linear_hopper_forward_64_single_bf16",
        1
    );

    /// <summary>
    /// The kernel of the input's gradient in 128 × 256 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_bf16</c>; blocks as in <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient = Entry(
        "low_rank_linear_hopper_input_gradient_bf16",
        2
    );

    /// <summary>
    /// The kernel of the input's gradient for a single row of 128 × 256 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradientSingle = Entry(
        "low_rank_linear_hopper_input_gradient_single_bf16",
        1
    );

    /// <summary>
    /// The kernel of the input's gradient in 128 × 128 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_128_bf16</c>; blocks as in <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient128 = Entry(
        "low_rank_linear_hopper_input_gradient_128_bf16",
        2
    );

    /// <summary>
    /// The kernel of the input's gradient for a single row of 128 × 128 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_128_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient128Single = Entry(
        "low_rank_linear_hopper_input_gradient_128_single_bf16",
        1
    );

    /// <summary>
    /// The kernel of the input's gradient in 128 × 64 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_64_bf16</c>; blocks as in <see cref="Forward"/>.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient64 = Entry(
        "low_rank_linear_hopper_input_gradient_64_bf16",
        2
    );

    /// <summary>
    /// The kernel of the input's gradient for a single row of 128 × 64 tiles,
    /// <c>low_rank_linear_hopper_input_gradient_64_single_bf16</c>; clusters of one block.
    /// </summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient64Single = Entry(
        "low_rank_linear_hopper_input_gradient_64_single_bf16",
        1
    );

    /// <summary>
    /// Map of x, or of dy for the input gradient, [Rows, Depth] BF16, in boxes of 128 rows × 64 columns.
    /// </summary>
    public TensorMap X;

    /// <summary>
    /// Map of W, BF16: [Columns, Depth] in boxes of half the tile's columns × 64 forward; [Depth, Columns] in boxes of
    /// 64 × 64, or 32 × 64 for tiles of 64 columns, for the input gradient.
    /// </summary>
    public TensorMap Weight;

    /// <summary>
    /// Map of the low-rank activations, scaled and multiplied by the middle diagonal, [Rows, Rank] BF16, in boxes of
    /// 128 × 64.
    /// </summary>
    public TensorMap Z;

    /// <summary>
    /// Map of the outer factor, BF16, in boxes as those of W: L [Columns, Rank] forward, R [Rank, Columns] for the
    /// input gradient.
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

    private static KernelEntry<LowRankLinearHopperArgs> Entry(string name, int clusterBlocks) =>
        new("low_rank_linear_sm90", 384, name) { ClusterBlocks = clusterBlocks, SharedBytes = 229_632 };
}
