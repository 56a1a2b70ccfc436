using System.Numerics;
using Spectral.Kernels.Ops.Dispatch;
using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes a product [Rows, Columns] with a quantised weight whose sums run over Depth terms. It is tiled where the
/// fused kernel can read the weight and the activations are matrices of their own.
/// </summary>
internal readonly record struct QuantizedCase(
    Device Device,
    DType Type,
    LowRankDirection Direction,
    WeightFormat Format,
    int Rows,
    int Columns,
    int Depth,
    bool IsTiled
) : IVariantCase<QuantizedCase>
{
    public string What =>
        (Direction, Type) switch
        {
            (LowRankDirection.Forward, DType.F32) => "quantized_product forward f32",
            (LowRankDirection.Forward, _) => "quantized_product forward bf16",
            (_, DType.F32) => "quantized_product input_gradient f32",
            _ => "quantized_product input_gradient bf16",
        };

    public QuantizedCase Bucket =>
        this with
        {
            Rows = (int)Math.Min(int.MaxValue, BitOperations.RoundUpToPowerOf2((uint)Rows)),
        };

    public string Key => $"{What} {Format.Name()} {Rows}x{Columns}x{Depth}{(IsTiled ? "" : " apart")}";
}
