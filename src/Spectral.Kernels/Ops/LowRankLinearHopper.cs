using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes both products in one persistent kernel on wgmma and TMA. TMA moves whole 16-byte units, so depth, rank and
/// columns are multiples of 8; with such widths every tensor and every range of its rows starts at a 16-byte address.
/// </summary>
/// <param name="tileColumns">Columns of a tile: 256, 128 or 64. 0: as fits the result, with the same bits.</param>
internal sealed class LowRankLinearHopper(int tileColumns = 0) : LowRankLinearVariant
{
    private const int TileRows = 128;
    private const int WideColumns = 256;
    private const int StoreRows = 64;

    // A tile's time, of that of a wide one, by what was counted: narrow tiles are bound by shared memory, where each
    // has the same 128 rows of x.
    private static readonly (int Columns, double Time)[] TileTimes = [(WideColumns, 1), (128, 0.59), (64, 0.41)];

    public override LowRankVariant Kind => LowRankVariant.Hopper;

    /// <summary>Columns of the tiles there are, the widest first.</summary>
    public static IEnumerable<int> Tiles => TileTimes.Select(tile => tile.Columns);

    public override string Name => tileColumns is 0 or WideColumns ? "hopper" : $"hopper-{tileColumns}";

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

    /// <summary>A map has any distance between rows of whole 16-byte units.</summary>
    public override bool Reads(ColumnRange source) => TensorMap.Fits(source.Stride) && source.From % 8 == 0;

    public override void Run(in LowRankProduct product)
    {
        (Device device, LowRankCase call) = (product.Case.Device, product.Case);
        if (product.Weight.Quantized is { } quantized)
        {
            RunQuantized(product, quantized);
            return;
        }

        // Two blocks share each load of W; a single tile row would leave one of them without work.
        int cluster = call.Rows > TileRows ? 2 : 1;
        int tile =
            tileColumns > 0 ? tileColumns : BestColumns(device.MultiprocessorCount, call.Rows, call.Columns, cluster);
        int depths = tile == 64 ? 32 : TensorMap.BoxColumns;
        int boxRows = product.Transposed ? tile / 2 : depths; // of W and L or R
        (int weightRows, int weightColumns) = product.Transposed
            ? (call.Columns, call.Depth)
            : (call.Depth, call.Columns);
        (int factorRows, int factorColumns) = product.Transposed
            ? (call.Columns, call.Rank)
            : (call.Rank, call.Columns);
        var args = new LowRankLinearHopperArgs
        {
            X = MapOfRows(product.X, call.Rows, call.Depth),
            Weight = Map(product.Weight.Dense, weightRows, weightColumns, boxRows),
            Z = MapOfRows(product.Source, call.Rows, call.Rank),
            Factor = Map(product.Factor, factorRows, factorColumns, boxRows),
            Y = MapOfResult(product.Y, call.Rows, call.Columns),
            Bias = product.Bias?.Pointer ?? 0,
            Rows = call.Rows,
            Columns = call.Columns,
            Depth = call.Depth,
            Rank = call.Rank,
            Accumulate = product.Accumulate ? 1 : 0,
        };
        KernelEntry<LowRankLinearHopperArgs> entry = (product.Transposed, tile, cluster) switch
        {
            (true, 64, 2) => LowRankLinearHopperArgs.Forward64,
            (true, 64, _) => LowRankLinearHopperArgs.Forward64Single,
            (true, 128, 2) => LowRankLinearHopperArgs.Forward128,
            (true, 128, _) => LowRankLinearHopperArgs.Forward128Single,
            (true, _, 2) => LowRankLinearHopperArgs.Forward,
            (true, _, _) => LowRankLinearHopperArgs.ForwardSingle,
            (false, 64, 2) => LowRankLinearHopperArgs.InputGradient64,
            (false, 64, _) => LowRankLinearHopperArgs.InputGradient64Single,
            (false, 128, 2) => LowRankLinearHopperArgs.InputGradient128,
            (false, 128, _) => LowRankLinearHopperArgs.InputGradient128Single,
            (false, _, 2) => LowRankLinearHopperArgs.InputGradient,
            (false, _, _) => LowRankLinearHopperArgs.InputGradientSingle,
        };
        long tiles = TilesOf(call.Rows, call.Columns, tile, cluster);
        entry.Launch(device, args, Blocks(device.MultiprocessorCount, tiles, cluster));
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

    /// <summary>Returns the number of persistent blocks of one for a result in wide tiles.</summary>
    public static int Blocks(Device device, int rows, int columns) =>
        Blocks(device.MultiprocessorCount, TilesOf(rows, columns, WideColumns, 1), 1);

    /// <summary>
    /// Returns the columns of the tiles that take the least time: where wide tiles are few, more multiprocessors have a
    /// narrow one.
    /// </summary>
    public static int BestColumns(int multiprocessors, int rows, int columns, int cluster)
    {
        double Time((int Columns, double Time) tile)
        {
            long tiles = TilesOf(rows, columns, tile.Columns, cluster);
            int clusters = Blocks(multiprocessors, tiles, cluster) / cluster;
            return tile.Time * ((tiles + clusters - 1) / clusters);
        }
        return TileTimes.MinBy(Time).Columns;
    }

    private static long TilesOf(int rows, int columns, int tileColumns, int cluster) =>
        (long)Launch.Blocks(rows, TileRows * cluster) * Launch.Blocks(columns, tileColumns);

    private static int Blocks(int multiprocessors, long tiles, int cluster) =>
        (int)Math.Min(tiles, Math.Max(1, multiprocessors / cluster)) * cluster;

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
        TensorMap.Encode(matrix.Matrix.Device, matrix.Pointer, rows, columns, matrix.Stride, boxRows);
}
