using Spectral.Kernels.Interop;
using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies with a weight in codes in one kernel on mma.sync, whose blocks make tiles of it plain numbers
/// in shared memory; a low-rank product may join in the same sums.
/// </summary>
internal sealed class FusedProduct : QuantizedProductVariant
{
    private const int Tile = 128;
    private const int OwnCodes = 32; // kOwnCodes: of one thread, with one scale

    public override QuantizedVariant Kind => QuantizedVariant.Fused;

    public override string Name => "fused";

    public override string? Refuses(in QuantizedCase call)
    {
        if (call.Type != DType.BF16)
            return "it is BF16 only";
        return call.IsTiled ? null : "W has no scale per whole 32 columns, or x or y is columns";
    }

    /// <summary>Returns whether the kernel can read a weight.</summary>
    public static bool Takes(QuantizedMatrix weight)
    {
        ScaleGrid grid = weight.Layout.Grid;
        bool oneScale = grid.Block > 0 ? grid.Block >= OwnCodes : IsWhole(grid.TileColumns, weight.Columns);
        return weight.Columns % OwnCodes == 0 && oneScale;
    }

    public override void Run(in QuantizedProduct product)
    {
        QuantizedCase call = product.Case;
        var args = new LowRankQuantizedArgs
        {
            Weight = product.Weight.Source,
            X = product.X.Pointer,
            Y = product.Y.Pointer,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        Run(product.Weight, args, product.Transposed);
    }

    /// <summary>Launches the kernel of a direction.</summary>
    public static void Run(QuantizedMatrix weight, in LowRankQuantizedArgs args, bool forward)
    {
        int tiles = checked(Launch.Blocks(args.Rows, Tile) * Launch.Blocks(args.Columns, Tile));
        KernelEntry<LowRankQuantizedArgs> entry = (weight.Layout.Format.Bits(), forward) switch
        {
            (4, true) => LowRankQuantizedArgs.ForwardFourBits,
            (4, false) => LowRankQuantizedArgs.InputGradientFourBits,
            (_, true) => LowRankQuantizedArgs.ForwardEightBits,
            _ => LowRankQuantizedArgs.InputGradientEightBits,
        };
        entry.Launch(weight.Device, args, tiles);
    }

    private static bool IsWhole(int tileColumns, int columns) => tileColumns % OwnCodes == 0 || tileColumns >= columns;
}
