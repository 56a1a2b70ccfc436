namespace Spectral.Kernels;

/// <summary>Arguments of <c>copy_block.cu</c>.</summary>
[KernelArgs("copy_block", "copy_block_f32", "copy_block_bf16", "copy_block_within_bf16")]
public struct CopyBlockArgs
{
    /// <summary>[rows, columns], F32 or BF16.</summary>
    public ulong Source;
    /// <summary>[any, stride].</summary>
    public ulong Destination;
    /// <summary>Element of the destination that receives the first one of the source.</summary>
    public long Offset;
    /// <summary>Rows of the source.</summary>
    public int Rows;
    /// <summary>Columns of the source.</summary>
    public int Columns;
    /// <summary>Columns of the destination.</summary>
    public int Stride;
}

/// <summary>Copies a matrix into a rectangle of a larger matrix, F32 rounded to its type; the rest of the destination is left alone.</summary>
public static class CopyBlock
{
    private const int Threads = 256;

    /// <summary>destination[row + i, column + j] = source[i, j].</summary>
    /// <param name="source">[n, m] F32; or BF16, as the destination.</param>
    /// <param name="destination">[N, M] F32 or BF16, with row + n ≤ N and column + m ≤ M; does not overlap the source.</param>
    /// <param name="row">First row written.</param>
    /// <param name="column">First column written.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Run(Tensor source, Tensor destination, int row, int column)
    {
        Check.Shape(source, nameof(source), -1, -1);
        Check.Shape(destination, nameof(destination), -1, -1);
        Check.Floating(source, nameof(source));
        Check.Floating(destination, nameof(destination));
        if (source.DType != DType.F32) Check.SameDType(source, nameof(source), destination, nameof(destination));
        Check.SameDevice(source.Device, destination, nameof(destination));
        if (row < 0 || column < 0 || row > destination.Dim(0) - source.Dim(0) || column > destination.Dim(1) - source.Dim(1))
            throw new ArgumentException($"source {source.Shape} at row {row}, column {column} reaches outside destination {destination.Shape}", nameof(source));
        if (source.Count == 0) return;
        var args = new CopyBlockArgs
        {
            Source = source.Pointer,
            Destination = destination.Pointer,
            Offset = (long)row * destination.Dim(1) + column,
            Rows = source.Dim(0),
            Columns = source.Dim(1),
            Stride = destination.Dim(1),
        };
        int blocks = checked((int)((source.Count + Threads - 1) / Threads));
        string entry = source.DType == DType.F32 ? Launch.Entry(destination.DType, "copy_block_f32", "copy_block_bf16") : "copy_block_within_bf16";
        source.Device.Kernel("copy_block", entry).Launch(args, blocks, Threads);
    }
}
