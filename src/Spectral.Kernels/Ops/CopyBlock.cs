using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Copies a matrix into a rectangle of a larger one, rounding F32 to its type, or copies a rectangle out of one; the
/// rest of the destination stays unchanged. Both directions can also add, as the gradient of the other direction needs.
/// </summary>
public static class CopyBlock
{
    /// <summary>Copies into a rectangle: destination[row + i, column + j] = source[i, j].</summary>
    /// <param name="source">[n, m] F32, columns of a wider matrix or all; or BF16, as the destination.</param>
    /// <param name="destination">[N, M] F32 or BF16, with row + n ≤ N and column + m ≤ M; does not overlap the
    /// source.</param>
    /// <param name="row">First row written.</param>
    /// <param name="column">First column written.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Run(ColumnRange source, Tensor destination, int row, int column)
    {
        Check.Floating(source);
        (Tensor from, int rows, int columns) = (source.Matrix, source.Rows, source.Count);
        Check.Floating(destination, from, [-1, -1]);
        if (from.DType != DType.F32)
            Check.Operand(destination, from, likeName: nameof(source));
        Inside(destination, nameof(destination), row, column, rows, columns);
        if (rows == 0 || columns == 0)
            return;
        var args = new CopyBlockArgs
        {
            Source = source.Pointer,
            Destination =
                destination.Pointer + (ulong)(((long)row * destination.Dim(1) + column) * destination.DType.Size()),
            Rows = rows,
            Columns = columns,
            SourceStride = source.Stride,
            Stride = destination.Dim(1),
        };
        int blocks = Launch.FlatBlocks((long)rows * columns, destination.DType);
        if (from.DType == DType.F32)
            CopyBlockArgs.FromF32.Launch(from.Device, destination.DType, args, blocks);
        else
            CopyBlockArgs.WithinBf16.Launch(from.Device, args, blocks);
    }

    /// <summary>Copies a rectangle out: destination[i, j] = source[row + i, column + j].</summary>
    /// <param name="source">[N, M] F32, with row + n ≤ N and column + m ≤ M.</param>
    /// <param name="row">First row read.</param>
    /// <param name="column">First column read.</param>
    /// <param name="destination">[n, m] F32; does not overlap the source.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Take(Tensor source, int row, int column, Tensor destination) =>
        Add(source, row, column, destination, 0, 0, destination, 1, accumulate: false);

    /// <summary>Adds a rectangle: destination[i, j] += scale · source[row + i, column + j].</summary>
    /// <param name="source">[N, M] F32, with row + n ≤ N and column + m ≤ M.</param>
    /// <param name="row">First row read.</param>
    /// <param name="column">First column read.</param>
    /// <param name="destination">[n, m] F32; does not overlap the source.</param>
    /// <param name="scale">Factor of the source.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Add(Tensor source, int row, int column, Tensor destination, float scale = 1) =>
        Add(source, row, column, destination, 0, 0, destination, scale, accumulate: true);

    /// <summary>Adds to a rectangle: destination[row + i, column + j] += scale · source[i, j].</summary>
    /// <param name="source">[n, m] F32.</param>
    /// <param name="destination">[N, M] F32, with row + n ≤ N and column + m ≤ M; does not overlap the source.</param>
    /// <param name="row">First row added to.</param>
    /// <param name="column">First column added to.</param>
    /// <param name="scale">Factor of the source.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void AddInto(Tensor source, Tensor destination, int row, int column, float scale = 1) =>
        Add(source, 0, 0, destination, row, column, source, scale, accumulate: true);

    // The rectangle has the size of the tensor it is to cover, which is one of the two.
    private static void Add(
        Tensor source,
        int sourceRow,
        int sourceColumn,
        Tensor destination,
        int row,
        int column,
        Tensor covered,
        float scale,
        bool accumulate
    )
    {
        Check.Operand(source, DType.F32, [-1, -1]);
        Check.Operand(destination, source, [-1, -1]);
        Inside(source, nameof(source), sourceRow, sourceColumn, covered.Dim(0), covered.Dim(1));
        Inside(destination, nameof(destination), row, column, covered.Dim(0), covered.Dim(1));
        if (covered.Count == 0)
            return;
        var args = new CopyBlockAddArgs
        {
            Source = source.Pointer,
            Destination = destination.Pointer,
            SourceOffset = (long)sourceRow * source.Dim(1) + sourceColumn,
            DestinationOffset = (long)row * destination.Dim(1) + column,
            Rows = covered.Dim(0),
            Columns = covered.Dim(1),
            SourceStride = source.Dim(1),
            DestinationStride = destination.Dim(1),
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        CopyBlockAddArgs.Kernel.Launch(
            source.Device,
            args,
            Launch.Blocks(covered.Count, CopyBlockAddArgs.Kernel.Threads)
        );
    }

    private static void Inside(Tensor whole, string name, int row, int column, int rows, int columns)
    {
        if (row < 0 || column < 0 || row > whole.Dim(0) - rows || column > whole.Dim(1) - columns)
        {
            throw new ArgumentException(
                $"a rectangle [{rows}, {columns}] at row {row}, column {column} reaches outside {name} {whole.Shape}",
                name
            );
        }
    }
}
