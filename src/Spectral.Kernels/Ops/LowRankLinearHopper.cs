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
        string? layout = call.Layout switch
        {
            LowRankLayout.Apart or LowRankLayout.Dropped or LowRankLayout.FourBitTiles => null,
            LowRankLayout.QuantizedTiles => "W is in codes of 8 bits",
            LowRankLayout.Quantized => "W has no scale per whole 32 columns",
            _ => "W is not a matrix of its own",
        };
        if ((layout ?? RefusesDevice(call.Device)) is { } refusal)
            return refusal;
        bool fits = TensorMap.Fits(call.Depth) && TensorMap.Fits(call.Rank) && TensorMap.Fits(call.Columns);
        return fits ? null : "in, out and rank must be multiples of 8";
    }

    /// <summary>Returns why a device does not run the kernels of this architecture; null: it does.</summary>
    public static string? RefusesDevice(Device device)
    {
        if (device.ComputeCapability != (9, 0))
            return "it needs compute capability 9.0";
        return device.Kind == DeviceKind.Cuda && !KernelLibrary.Architectures.Contains("sm_90a")
            ? "this build has no sm_90a kernels"
            : null;
    }

    public override void Run(in LowRankProduct product)
    {
        (Device device, LowRankCase call) = (product.Case.Device, product.Case);
        if (product.Weight.Quantized is { } quantized)
        {
            RunQuantized(product, quantized);
            return;
        }

        var args = new LowRankLinearHopperArgs
        {
            X = MapOfRows(product.X, call.Rows, call.Depth),
            Weight = product.Transposed
                ? MapOfRows(product.Weight.Dense, call.Columns, call.Depth)
                : Map(product.Weight.Dense, call.Depth, call.Columns, TensorMap.BoxColumns),
            Z = MapOfRows(product.Source, call.Rows, call.Rank),
            Factor = FactorOf(product),
            Y = MapOfResult(product.Y, call.Rows, call.Columns),
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
        entry.Launch(device, args, Blocks(device, call.Rows, call.Columns, entry.ClusterBlocks));
    }

    private static void RunQuantized(in LowRankProduct product, QuantizedMatrix weight)
    {
        LowRankCase call = product.Case;
        HopperQuantizedProduct.Run(
            weight,
            new LowRankQuantizedHopperArgs
            {
                X = MapOfRows(product.X, call.Rows, call.Depth),
                Z = MapOfRows(product.Source, call.Rows, call.Rank),
                Factor = FactorOf(product),
                Y = MapOfResult(product.Y, call.Rows, call.Columns),
                Bias = product.Bias?.Pointer ?? 0,
                Rows = call.Rows,
                Columns = call.Columns,
                Depth = call.Depth,
                Rank = call.Rank,
                Accumulate = product.Accumulate ? 1 : 0,
            },
            product.Transposed
        );
    }

    /// <summary>Returns the number of persistent blocks for a result, whole clusters.</summary>
    public static int Blocks(Device device, int rows, int columns, int cluster)
    {
        long tiles = (long)Launch.Blocks(rows, TileRows * cluster) * Launch.Blocks(columns, TileColumns);
        return (int)Math.Min(tiles, Math.Max(1, device.MultiprocessorCount / cluster)) * cluster;
    }

    /// <summary>Encodes the map of x, dy, z or the right operands of a forward pass: tiles of 128 rows.</summary>
    public static TensorMap MapOfRows(ColumnRange matrix, int rows, int columns) =>
        Map(matrix, rows, columns, TileRows);

    /// <summary>Encodes the map of the result.</summary>
    public static TensorMap MapOfResult(ColumnRange matrix, int rows, int columns) =>
        Map(matrix, rows, columns, StoreRows);

    private static TensorMap FactorOf(in LowRankProduct product)
    {
        LowRankCase call = product.Case;
        return product.Transposed
            ? MapOfRows(product.Factor, call.Columns, call.Rank)
            : Map(product.Factor, call.Rank, call.Columns, TensorMap.BoxColumns);
    }

    private static TensorMap Map(ColumnRange matrix, int rows, int columns, int boxRows) =>
        TensorMap.Encode(matrix.Matrix.Device, matrix.Pointer, rows, columns, columns, boxRows);
}
