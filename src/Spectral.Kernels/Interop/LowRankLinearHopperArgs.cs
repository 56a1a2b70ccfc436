using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_linear_sm90.cu</c>: the two-source product for Hopper, operands behind tensor maps.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 704)]
public struct LowRankLinearHopperArgs
{
    /// <summary>Describes <c>low_rank_linear_hopper_forward_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> Forward = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_forward_bf16"
    )
    {
        ClusterBlocks = 2,
        SharedBytes = 229_632,
    };

    /// <summary>Describes <c>low_rank_linear_hopper_forward_single_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> ForwardSingle = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_forward_single_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>Describes <c>low_rank_linear_hopper_input_gradient_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradient = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_input_gradient_bf16"
    )
    {
        ClusterBlocks = 2,
        SharedBytes = 229_632,
    };

    /// <summary>Describes <c>low_rank_linear_hopper_input_gradient_single_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankLinearHopperArgs> InputGradientSingle = new(
        "low_rank_linear_sm90",
        384,
        "low_rank_linear_hopper_input_gradient_single_bf16"
    )
    {
        SharedBytes = 229_632,
    };

    /// <summary>x, or dy, [Rows, Depth] BF16, in boxes of 128 rows × 64 columns.</summary>
    public TensorMap X;

    /// <summary>
    /// W, BF16: [Columns, Depth] in boxes of 128 × 64 forward, [Depth, Columns] in boxes of 64 × 64 for the input
    /// gradient.
    /// </summary>
    public TensorMap Weight;

    /// <summary>
    /// The low-rank activations, scaled and times the middle diagonal, [Rows, Rank] BF16, in boxes of 128 × 64.
    /// </summary>
    public TensorMap Z;

    /// <summary>
    /// The outer factor, BF16: L [Columns, Rank] in boxes of 128 × 64 forward, R [Rank, Columns] in boxes of 64 × 64
    /// for the input gradient.
    /// </summary>
    public TensorMap Factor;

    /// <summary>y, or dx, [Rows, Columns] BF16, in boxes of 64 × 64; written.</summary>
    public TensorMap Y;

    /// <summary>Device address of the bias, [Columns] BF16; 0: none.</summary>
    public ulong Bias;

    /// <summary>Rows of x and y (tokens).</summary>
    public int Rows;

    /// <summary>Columns of y, a multiple of 8.</summary>
    public int Columns;

    /// <summary>Columns of x, the length of the frozen product's sums, a multiple of 8.</summary>
    public int Depth;

    /// <summary>Columns of z, the length of the low-rank product's sums, a multiple of 8.</summary>
    public int Rank;

    /// <summary>1: add to what y holds; 0: overwrite.</summary>
    public int Accumulate;
}
