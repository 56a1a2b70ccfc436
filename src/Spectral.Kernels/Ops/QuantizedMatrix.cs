using System.Numerics;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Holds a matrix as codes of 4 or 8 bits and scales: <c>W[i, j] = table[code(i, j)] · scale of its block</c>, one
/// product in F32. It is filled by <see cref="Fill"/>, or by copying codes and scales into its tensors as a file has
/// them.
/// </summary>
/// <example>
/// <code>
/// using QuantizedMatrix matrix = new(device, 4096, 4096, QuantizedLayout.For(WeightFormat.Nf4));
/// matrix.Fill(0, weight);            // F32 [4096, 4096], or some of the rows at a time
/// matrix.CompressScales();           // 4.13 bits per element in place of 4.5
/// FrozenProduct.Forward(x, matrix, y); // y = x Wᵀ
/// </code>
/// </example>
public sealed class QuantizedMatrix : IDisposable
{
    private readonly CodeTable _codes;
    private readonly Tensor _table;

    /// <summary>Allocates a matrix whose codes and scales are not initialized.</summary>
    /// <param name="device">Device that holds it.</param>
    /// <param name="rows">Number of rows, at least 1.</param>
    /// <param name="columns">Number of columns, at least 1.</param>
    /// <param name="layout">Format of the codes and elements of a scale.</param>
    /// <param name="table">
    /// Value of each code where they are not those of the format: 16 or 256 finite numbers.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The matrix is empty, the grid is none, there are 2³¹ scales or more, or the table does not fit.
    /// </exception>
    /// <exception cref="Driver.CudaException">Device memory ran out.</exception>
    public QuantizedMatrix(
        Device device,
        int rows,
        int columns,
        QuantizedLayout layout,
        ReadOnlySpan<float> table = default
    )
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(layout);
        if (rows < 1 || columns < 1)
            throw new ArgumentException($"a matrix [{rows}, {columns}], expected a row and a column", nameof(rows));
        if (layout.Grid == default)
            throw new ArgumentException("the layout's grid is empty, expected blocks or tiles", nameof(layout));
        long scales = layout.Grid.Count(rows, columns);
        if (scales > int.MaxValue)
            throw new ArgumentException($"{scales} scales, expected less than 2^31", nameof(layout));
        _codes = CodeTable.For(layout.Format, table);
        (Device, Rows, Columns, Layout) = (device, rows, columns, layout);
        long bytes = ((long)rows * columns * layout.Format.Bits() + 7) / 8;
        if (bytes > int.MaxValue)
            throw new ArgumentException($"{bytes} bytes of codes, expected less than 2^31", nameof(rows));
        Codes = Tensor.Empty(device, (int)bytes, DType.U8);
        Scales = Tensor.Empty(device, (int)scales);
        _table = Tensor.From(device, _codes.Values, _codes.Values.Length);
    }

    /// <summary>Device that holds the matrix.</summary>
    public Device Device { get; }

    /// <summary>Number of rows of the matrix.</summary>
    public int Rows { get; }

    /// <summary>Number of columns of the matrix.</summary>
    public int Columns { get; }

    /// <summary>Format of the codes and elements of a scale.</summary>
    public QuantizedLayout Layout { get; }

    /// <summary>
    /// Codes of the row-major flattened matrix, [⌈elements · bits / 8⌉] U8; of two in a byte, the first is the high
    /// half.
    /// </summary>
    public Tensor Codes { get; }

    /// <summary>Scale of each block, [blocks] F32; null once they are compressed.</summary>
    public Tensor? Scales { get; private set; }

    /// <summary>The scales as codes; null while they are not compressed.</summary>
    public CompressedScales? Compressed { get; private set; }

    /// <summary>Value of each code, [16] or [256].</summary>
    public ReadOnlySpan<float> Table => _codes.Values;

    /// <summary>Size of codes, scales and table on the device, in bytes.</summary>
    public long Bytes => Codes.Bytes + (Scales?.Bytes ?? 0) + (Compressed?.Bytes ?? 0) + _table.Bytes;

    /// <summary>Whether the matrix has been disposed.</summary>
    public bool IsDisposed => Codes.IsDisposed;

    /// <summary>
    /// Number of rows that <see cref="Fill"/> takes a multiple of, so that no block or byte belongs to two pieces: 1
    /// where rows are whole blocks, 128 for tiles of 128 × 128, at most 64 for flat blocks of 64.
    /// </summary>
    public int PieceRows
    {
        get
        {
            ScaleGrid grid = Layout.Grid;
            if (grid.Block > 0)
                return (int)Math.Min(grid.Block / Divisor(grid.Block, Columns), Rows);
            bool halves = Layout.Format.Bits() == 4 && Columns % 2 != 0 && grid.TileRows % 2 != 0;
            return (int)Math.Min(halves ? 2L * grid.TileRows : grid.TileRows, Rows);
        }
    }

    /// <summary>
    /// Quantises some rows: the scale of a block is its largest magnitude, divided by the largest value of the codes,
    /// and each element gets the code nearest to itself divided by the scale, a tie going to the lower value. A block
    /// with a NaN or an infinity becomes NaN.
    /// </summary>
    /// <param name="fromRow">First row, a multiple of <see cref="PieceRows"/>.</param>
    /// <param name="values">
    /// [r, Columns] F32; r is a multiple of <see cref="PieceRows"/> unless these are the last rows.
    /// </param>
    /// <exception cref="ArgumentException">Shape, type, device or place does not fit.</exception>
    /// <exception cref="InvalidOperationException">The scales are compressed already.</exception>
    public void Fill(int fromRow, Tensor values)
    {
        Check.Operand(values, DType.F32, [-1, Columns]);
        Check.SameDevice(Device, values, nameof(values));
        int rows = values.Dim(0);
        if (Scales is not { } scales)
            throw new InvalidOperationException("the scales are compressed, so no row can be filled any more");
        bool inside = fromRow >= 0 && fromRow <= Rows - rows && fromRow % PieceRows == 0;
        if (!inside || (rows % PieceRows != 0 && fromRow + rows != Rows))
        {
            throw new ArgumentException(
                $"rows {fromRow} to {fromRow + rows} of {Rows}, expected whole pieces of {PieceRows} rows",
                nameof(fromRow)
            );
        }

        if (rows == 0)
            return;
        (long first, int blocks) = BlocksOf(fromRow, rows);
        using (Tensor own = scales.Rows((int)first, blocks))
            own.Clear();
        using var borders = Tensor.From(Device, _codes.Borders, _codes.Borders.Length);
        using var order = Tensor.Empty(Device, _codes.Order.Length, DType.U8);
        order.CopyFrom(_codes.Order.AsSpan());
        var args = new QuantizeArgs
        {
            Weight = Source,
            Values = values.Pointer,
            Scales = scales.Pointer,
            Codes = Codes.Pointer,
            Borders = borders.Pointer,
            Order = order.Pointer,
            From = (long)fromRow * Columns,
            Count = values.Count,
            FirstBlock = first,
            Largest = _codes.Largest,
            Power = Layout.Format == WeightFormat.Mxfp4 ? MathExponent(_codes.Largest) : -1,
        };
        int grid = Launch.Blocks(values.Count, QuantizeArgs.Absmax.Threads * CodesPerThread);
        QuantizeArgs.Absmax.Launch(Device, args, grid);
        QuantizeArgs.ToScales.Launch(
            Device,
            args with
            {
                Count = blocks,
            },
            Launch.Blocks(blocks, QuantizeArgs.ToScales.Threads)
        );
        KernelEntry<QuantizeArgs> codes = Layout.Format.Bits() == 4 ? QuantizeArgs.FourBits : QuantizeArgs.EightBits;
        codes.Launch(Device, args, grid);
    }

    /// <summary>
    /// Replaces the scales, after all rows are filled, by codes of 8 bits of their differences from their mean (double
    /// quantisation), in the blocks and the map of bitsandbytes. Waits for the device.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The scales are compressed already, or their mean is not finite.
    /// </exception>
    public void CompressScales()
    {
        if (Scales is not { } scales)
            throw new InvalidOperationException("the scales are compressed already");
        using var mean = Tensor.Empty(Device, 1);
        Sum.Run(scales, mean);
        Scale.Run(mean, 1f / scales.Count);
        float value = mean.ToArray()[0];
        if (!float.IsFinite(value))
            throw new InvalidOperationException($"the mean of the scales is {value}, expected a finite number");
        var compressed = new CompressedScales(Device, (int)scales.Count, value);
        var args = new CompressScalesArgs
        {
            Scales = scales.Pointer,
            Mean = mean.Pointer,
            Codes = compressed.Codes.Pointer,
            Most = compressed.Largest.Pointer,
            Map = compressed.Map.Pointer,
            Count = scales.Count,
        };
        int threads = Launch.Blocks(scales.Count, CompressedScales.Block);
        CompressScalesArgs.Kernel.Launch(Device, args, Launch.Blocks(threads, CompressScalesArgs.Kernel.Threads));
        UseCompressed(compressed);
    }

    /// <summary>
    /// Replaces the scales by compressed ones, as a file has them, which the matrix owns from then on.
    /// </summary>
    /// <exception cref="ArgumentException">They are not as many as the blocks, or on another device.</exception>
    public void UseCompressed(CompressedScales compressed)
    {
        ArgumentNullException.ThrowIfNull(compressed);
        int count = (int)Layout.Grid.Count(Rows, Columns);
        Check.Operand(compressed.Codes, DType.U8, [count]);
        Check.SameDevice(Device, compressed.Codes, nameof(compressed));
        if (Compressed != compressed)
            Compressed?.Dispose();
        Scales?.Dispose();
        (Scales, Compressed) = (null, compressed);
    }

    /// <summary>Writes some rows as plain numbers: [r, Columns], F32 or BF16.</summary>
    /// <exception cref="ArgumentException">Shape, type, device or place does not fit.</exception>
    public void Dequantize(int fromRow, Tensor destination)
    {
        Check.Floating(destination, [-1, Columns]);
        Dequantize(fromRow, 0, destination);
    }

    /// <summary>Writes a rectangle of the matrix as plain numbers.</summary>
    /// <param name="fromRow">First row.</param>
    /// <param name="fromColumn">First column.</param>
    /// <param name="destination">[r, c], F32 or BF16; overwritten.</param>
    /// <exception cref="ArgumentException">Shape, type, device or place does not fit.</exception>
    public void Dequantize(int fromRow, int fromColumn, Tensor destination)
    {
        Check.Floating(destination, [-1, -1]);
        Check.SameDevice(Device, destination, nameof(destination));
        (int rows, int columns) = (destination.Dim(0), destination.Dim(1));
        if (fromRow < 0 || fromColumn < 0 || fromRow > Rows - rows || fromColumn > Columns - columns)
        {
            throw new ArgumentException(
                $"rows {fromRow} to {fromRow + rows} and columns {fromColumn} to {fromColumn + columns}, "
                    + $"expected a part of [{Rows}, {Columns}]",
                nameof(destination)
            );
        }

        if (destination.Count == 0)
            return;
        var args = new DequantizeArgs
        {
            Weight = Source,
            Destination = destination.Pointer,
            FromRow = fromRow,
            FromColumn = fromColumn,
            Rows = rows,
            Columns = columns,
        };
        KernelEntry<DequantizeArgs> entry =
            Layout.Format.Bits() == 4 ? DequantizeArgs.FourBits : DequantizeArgs.EightBits;
        long threads = (long)Launch.Blocks(columns, CodesPerThread) * Launch.Blocks(rows, RowsPerThread);
        entry.Launch(Device, destination.DType, args, Launch.Blocks(threads, entry.Threads));
    }

    /// <summary>
    /// Returns this matrix times a power of two, with the same codes and scales of its own. The caller disposes it.
    /// </summary>
    internal QuantizedMatrix Times(float power) => new(this, power);

    private QuantizedMatrix(QuantizedMatrix from, float power)
    {
        (Device, Rows, Columns, Layout, _codes) = (from.Device, from.Rows, from.Columns, from.Layout, from._codes);
        (Codes, _table) = (from.Codes.Share(), from._table.Share());
        if (from.Scales is { } scales)
        {
            Scales = Tensor.Empty(Device, scales.Shape);
            Scales.CopyFrom(scales);
            Scale.Run(Scales, power);
            return;
        }

        CompressedScales compressed = from.Compressed!;
        Compressed = new CompressedScales(Device, (int)compressed.Codes.Count, compressed.Mean * power);
        Compressed.Codes.CopyFrom(compressed.Codes);
        Compressed.Map.CopyFrom(compressed.Map);
        Compressed.Largest.CopyFrom(compressed.Largest);
        Scale.Run(Compressed.Largest, power);
    }

    /// <summary>
    /// All tensors on the device: codes, scales, of which compressed ones are codes, largest magnitudes and map, and
    /// the table.
    /// </summary>
    public IReadOnlyList<Tensor> Parts =>
        Compressed is { } scales ? [Codes, scales.Codes, scales.Largest, scales.Map, _table] : [Codes, Scales!, _table];

    /// <summary>
    /// Returns a matrix of the same size and form whose <see cref="Parts"/> are elsewhere, each as bytes. It takes
    /// ownership of them. This matrix may be disposed already.
    /// </summary>
    /// <param name="parts">U8 tensors of one dimension, of the bytes of the parts of this matrix.</param>
    /// <exception cref="ArgumentException">Number, type or size of the parts differs.</exception>
    public QuantizedMatrix Over(IReadOnlyList<Tensor> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        long[] bytes = PartBytes(Rows, Columns, Layout, Compressed is not null);
        if (!parts.Select(part => part.Bytes).SequenceEqual(bytes) || parts.Any(part => part.DType != DType.U8))
        {
            throw new ArgumentException(
                $"parts {string.Join(", ", parts)}, expected U8 tensors of {string.Join(", ", bytes)} bytes",
                nameof(parts)
            );
        }

        return new(this, parts);
    }

    /// <summary>Returns the bytes of each of the <see cref="Parts"/> of a matrix.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="layout">Format of the codes and elements of a scale.</param>
    /// <param name="isCompressed">Whether the scales are codes.</param>
    public static long[] PartBytes(int rows, int columns, QuantizedLayout layout, bool isCompressed)
    {
        ArgumentNullException.ThrowIfNull(layout);
        int bits = layout.Format.Bits();
        (long codes, long scales) = (((long)rows * columns * bits + 7) / 8, layout.Grid.Count(rows, columns));
        long table = sizeof(float) << bits;
        return isCompressed
            ? [codes, .. CompressedScales.PartBytes(scales), table]
            : [codes, scales * sizeof(float), table];
    }

    private QuantizedMatrix(QuantizedMatrix like, IReadOnlyList<Tensor> parts)
    {
        (Device, Rows, Columns, Layout, _codes) = (like.Device, like.Rows, like.Columns, like.Layout, like._codes);
        (Codes, _table) = (parts[0], Floats(parts[^1]));
        if (like.Compressed is { } scales)
            Compressed = new CompressedScales(parts[1], Floats(parts[2]), Floats(parts[3]), scales.Mean);
        else
            Scales = Floats(parts[1]);

        static Tensor Floats(Tensor bytes)
        {
            using (bytes)
                return bytes.As(DType.F32, checked((int)bytes.Count) / sizeof(float));
        }
    }

    /// <summary>Releases the device memory; a second call does nothing.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        Scales?.Dispose();
        Compressed?.Dispose();
        _table.Dispose();
    }

    /// <summary>Writes size, format and device as errors show them.</summary>
    public override string ToString() => $"{Layout.Format.Name()} [{Rows}, {Columns}] on {Device}";

    private const int CodesPerThread = 8; // kCodesPerThread
    private const int RowsPerThread = 4; // kRowsPerThread of dequantize.cu

    /// <summary>The matrix as kernels read it.</summary>
    internal QuantizedSource Source
    {
        get
        {
            ScaleGrid grid = Layout.Grid;
            return new QuantizedSource
            {
                Codes = Codes.Pointer,
                Table = _table.Pointer,
                Scales = Scales?.Pointer ?? 0,
                ScaleCodes = Compressed?.Codes.Pointer ?? 0,
                ScaleMost = Compressed?.Largest.Pointer ?? 0,
                ScaleMap = Compressed?.Map.Pointer ?? 0,
                ScaleMean = Compressed?.Mean ?? 0,
                Columns = Columns,
                Shift = grid.Block > 0 ? BitOperations.Log2((uint)grid.Block) : -1,
                TileRows = grid.TileRows,
                TileColumns = grid.TileColumns,
                Tiles = grid.Block > 0 ? 0 : (int)grid.TilesAcross(Columns),
            };
        }
    }

    private (long First, int Count) BlocksOf(int fromRow, int rows)
    {
        ScaleGrid grid = Layout.Grid;
        if (grid.Block > 0)
        {
            long first = (long)fromRow * Columns / grid.Block;
            return (first, (int)(((long)(fromRow + rows) * Columns + grid.Block - 1) / grid.Block - first));
        }

        long across = grid.TilesAcross(Columns);
        return (fromRow / grid.TileRows * across, (int)(grid.TilesDown(rows) * across));
    }

    private static int MathExponent(float value) => (int)Math.Floor(Math.Log2(value));

    private static int Divisor(int a, int b) => (int)BigInteger.GreatestCommonDivisor(a, b);
}
