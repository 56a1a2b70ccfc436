using Spectral.Kernels.Interop;
using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies with a weight in codes of 4 bits in one persistent kernel on wgmma and TMA, which makes stages of it
/// plain numbers in shared memory; a low-rank product may join in the same sums.
/// </summary>
internal sealed class HopperQuantizedProduct : QuantizedProductVariant
{
    /// <summary>The bits of a code that the kernel reads.</summary>
    public const int Bits = 4;

    public override QuantizedVariant Kind => QuantizedVariant.Hopper;

    public override string Name => "hopper";

    public override string? Refuses(in QuantizedCase call)
    {
        if (call.Type != DType.BF16)
            return "it is BF16 only";
        if (call.Format.Bits() != Bits)
            return "W is in codes of 8 bits";
        if (!call.IsTiled)
            return "W has no scale per whole 32 columns, or x or y is columns";
        return TensorMap.Fits(call.Depth) && TensorMap.Fits(call.Columns)
            ? LowRankLinearHopper.RefusesDevice(call.Device)
            : "in and out must be multiples of 8";
    }

    public override void Run(in QuantizedProduct product)
    {
        QuantizedCase call = product.Case;
        TensorMap x = LowRankLinearHopper.MapOfRows(product.X, call.Rows, call.Depth);
        Run(
            product.Weight,
            new LowRankQuantizedHopperArgs
            {
                X = x,
                Z = x, // of rank 0: neither is read
                Factor = x,
                Y = LowRankLinearHopper.MapOfResult(product.Y, call.Rows, call.Columns),
                Rows = call.Rows,
                Columns = call.Columns,
                Depth = call.Depth,
                Accumulate = product.Accumulate ? 1 : 0,
            },
            product.Transposed
        );
    }

    /// <summary>Launches the kernel of a direction, on a weight that the arguments do not have yet.</summary>
    public static void Run(QuantizedMatrix weight, LowRankQuantizedHopperArgs args, bool forward)
    {
        args.Weight = weight.Source;
        KernelEntry<LowRankQuantizedHopperArgs> entry = forward
            ? LowRankQuantizedHopperArgs.Forward
            : LowRankQuantizedHopperArgs.InputGradient;
        entry.Launch(weight.Device, args, LowRankLinearHopper.Blocks(weight.Device, args.Rows, args.Columns));
    }
}
