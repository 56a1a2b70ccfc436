using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes both products in one kernel on mma.sync: the sums run over the frozen operands, then over the low-rank
/// ones.
/// </summary>
internal sealed class LowRankLinearPortable : LowRankLinearVariant
{
    private const int Tile = 128;

    public override LowRankVariant Kind => LowRankVariant.Portable;

    public override string Name => "portable";

    public override bool IsLibrary => false;

    public override string? Refuses(in LowRankCase call)
    {
        if (call.Type != DType.BF16)
            return "it is BF16 only";
        return call.Layout switch
        {
            LowRankLayout.Apart or LowRankLayout.Dropped => null,
            LowRankLayout.QuantizedTiles or LowRankLayout.FourBitTiles => null,
            LowRankLayout.Quantized => "W has no scale per whole 32 columns",
            _ => "W is not a matrix of its own",
        };
    }

    public override void Run(in LowRankProduct product)
    {
        LowRankCase call = product.Case;
        if (product.Weight.Quantized is { } quantized)
        {
            RunQuantized(product, quantized);
            return;
        }

        var args = new LowRankLinearArgs
        {
            X = product.X.Pointer,
            Weight = product.Weight.Dense.Pointer,
            Z = product.Source.Pointer,
            Factor = product.Factor.Pointer,
            Bias = product.Bias?.Pointer ?? 0,
            Y = product.Y.Pointer,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Rank = call.Rank,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        int tiles = checked(Launch.Blocks(call.Rows, Tile) * Launch.Blocks(call.Columns, Tile));
        KernelEntry<LowRankLinearArgs> entry = product.Transposed
            ? LowRankLinearArgs.Forward
            : LowRankLinearArgs.InputGradient;
        entry.Launch(call.Device, args, tiles);
    }

    private static void RunQuantized(in LowRankProduct product, QuantizedMatrix weight)
    {
        LowRankCase call = product.Case;
        var args = new LowRankQuantizedArgs
        {
            Weight = weight.Source,
            X = product.X.Pointer,
            Z = product.Source.Pointer,
            Factor = product.Factor.Pointer,
            Bias = product.Bias?.Pointer ?? 0,
            Y = product.Y.Pointer,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Rank = call.Rank,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        FusedProduct.Run(weight, args, product.Transposed);
    }
}
