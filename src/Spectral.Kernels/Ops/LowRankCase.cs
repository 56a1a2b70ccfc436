using System.Numerics;
using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>Describes a product [Rows, Columns] whose sums run over Depth frozen and Rank low-rank terms.</summary>
internal readonly record struct LowRankCase(
    Device Device,
    DType Type,
    LowRankDirection Direction,
    int Rows,
    int Columns,
    int Depth,
    int Rank,
    LowRankLayout Layout = LowRankLayout.Apart
) : IVariantCase<LowRankCase>
{
    public string What =>
        (Direction, Type) switch
        {
            (LowRankDirection.Forward, DType.F32) => "low_rank_linear forward f32",
            (LowRankDirection.Forward, _) => "low_rank_linear forward bf16",
            (_, DType.F32) => "low_rank_linear input_gradient f32",
            _ => "low_rank_linear input_gradient bf16",
        };

    /// <summary>
    /// Case that stands for all similar ones in timing: the number of tokens, which differs from batch to batch, is
    /// rounded up to a power of two.
    /// </summary>
    public LowRankCase Bucket =>
        this with
        {
            Rows = (int)Math.Min(int.MaxValue, BitOperations.RoundUpToPowerOf2((uint)Rows)),
        };

    public string Key => $"{What} {Rows}x{Columns}x{Depth} rank {Rank}{Weight}";

    private string Weight =>
        Layout switch
        {
            LowRankLayout.WideWeight => " wide",
            LowRankLayout.Quantized => " quantized",
            LowRankLayout.QuantizedTiles => " quantized tiles",
            LowRankLayout.FourBitTiles => " 4-bit tiles",
            _ => "",
        };
}
