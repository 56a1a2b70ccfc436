using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes both products in one persistent kernel on wgmma and TMA. TMA moves whole 16-byte units, so depth, rank and
/// columns are multiples of 8; with such widths every tensor and every range of its rows starts at a 16-byte address.
/// </summary>
internal sealed class LowRankLinearHopper : LowRankLinearVariant
{
    private const int TileRows = 128;
    private const int TileColumns = 256;
    private const int StoreRows = 64;

    public override LowRankVariant Kind => LowRankVariant.Hopper;

    public override string Name => "hopper";

    public override bool IsLibrary => false;

    public override string? Refuses(in LowRankCase call)
    {
        if (call.Type != DType.BF16)
            return "it is BF16 only";
        if (call.Layout is not (LowRankLayout.Apart or LowRankLayout.Dropped))
            return "W is not a matrix of its own";
        if (call.Device.ComputeCapability != (9, 0))
            return "it needs compute capability 9.0";
        if (call.Device.Kind == DeviceKind.Cuda && !KernelLibrary.Architectures.Contains("sm_90a"))
            return "this build has no sm_90a kernels";
        bool fits = TensorMap.Fits(call.Depth) && TensorMap.Fits(call.Rank) && TensorMap.Fits(call.Columns);
        return fits ? null : "in, out and rank must be multiples of 8";
    }

    public override void Run(in LowRankProduct product)
    {
        (Device device, LowRankCase call) = (product.Case.Device, product.Case);
        int weightRows = product.Transposed ? TileRows : TensorMap.BoxColumns;
        var args = new LowRankLinearHopperArgs
        {
            X = Map(product.X, call.Rows, call.Depth, TileRows),
            Weight = product.Transposed
                ? Map(product.Weight.Dense, call.Columns, call.Depth, weightRows)
                : Map(product.Weight.Dense, call.Depth, call.Columns, weightRows),
            Z = Map(product.Source, call.Rows, call.Rank, TileRows),
            Factor = product.Transposed
                ? Map(product.Factor, call.Columns, call.Rank, weightRows)
                : Map(product.Factor, call.Rank, call.Columns, weightRows),
            Y = Map(product.Y, call.Rows, call.Columns, StoreRows),
            Bias = product.Bias?.Pointer ?? 0,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Rank = call.Rank,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        // Two blocks share each load of W; a single tile row would leave one of them without work.
        KernelEntry<LowRankLinearHopperArgs> entry = (product.Transposed, call.Rows > TileRows) switch
        {
            (true, true) => LowRankLinearHopperArgs.Forward,
            (true, false) => LowRankLinearHopperArgs.ForwardSingle,
            (false, true) => LowRankLinearHopperArgs.InputGradient,
            (false, false) => LowRankLinearHopperArgs.InputGradientSingle,
        };
        int cluster = entry.ClusterBlocks;
        long tiles = (long)Launch.Blocks(call.Rows, TileRows * cluster) * Launch.Blocks(call.Columns, TileColumns);
        int clusters = (int)Math.Min(tiles, Math.Max(1, device.MultiprocessorCount / cluster));
        entry.Launch(device, args, clusters * cluster);
    }

    private static TensorMap Map(ColumnRange matrix, int rows, int columns, int boxRows) =>
        TensorMap.Encode(matrix.Matrix.Device, matrix.Pointer, rows, columns, columns, boxRows);
}
