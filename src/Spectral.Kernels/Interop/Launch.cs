namespace Spectral.Kernels.Interop;

/// <summary>Computes the grids that kernels have in common.</summary>
internal static class Launch
{
    /// <summary>
    /// Threads per block of the row kernels (several rows per block); <c>kRowThreads</c> in <c>device/pieces.cuh</c>.
    /// </summary>
    public const int RowThreads = 256;

    /// <summary>
    /// Threads per block of the flat kernels (one 16-byte vector per thread); <c>kFlatThreads</c> in
    /// <c>device/pieces.cuh</c>.
    /// </summary>
    public const int FlatThreads = 256;

    /// <summary>Divides <paramref name="work"/> items by <paramref name="perBlock"/>, rounded up.</summary>
    public static int Blocks(long work, int perBlock) => checked((int)((work + perBlock - 1) / perBlock));

    /// <summary>Counts the blocks of a row kernel with this many lanes per row.</summary>
    public static int RowBlocks(long rows, int lanes = 32) => Blocks(rows, RowThreads / lanes);

    /// <summary>
    /// Chooses the lanes per row of a row reduction. Up to 1024 columns they are 8: a whole warp would have little to
    /// do there, and on the CPU device each lane is a fiber that costs as much as a hundred elements.
    /// </summary>
    public static int RowLanes(int columns) => columns <= 1024 ? 8 : 32;

    /// <summary>Counts the blocks of a flat kernel over an array.</summary>
    public static int FlatBlocks(long count, DType type) => Blocks(count, FlatThreads * (16 / type.Size()));

    /// <summary>
    /// Lays out a flat kernel over the rows of a matrix. Whole matrices are one long row: no block ends with a row.
    /// </summary>
    /// <returns>The elements of a row, the blocks for each row, and the blocks in all.</returns>
    public static (long Length, uint Blocks, int Grid) FlatRows(DType type, int rows, int columns, bool whole)
    {
        (int count, long length) = whole ? (1, (long)rows * columns) : (rows, columns);
        int blocks = FlatBlocks(length, type);
        return (length, (uint)blocks, checked(count * blocks));
    }
}
