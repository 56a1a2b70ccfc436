namespace Spectral.Kernels.Interop;

/// <summary>Computes the launch shapes that kernels have in common.</summary>
internal static class Launch
{
    /// <summary>Threads per block of the row kernels, <c>kRowThreads</c> in <c>device/pieces.cuh</c>.</summary>
    public const int RowThreads = 256;

    /// <summary>
    /// Threads per block of the flat kernels, one 16-byte vector each: <c>kFlatThreads</c> in <c>device/pieces.cuh</c>.
    /// </summary>
    public const int FlatThreads = 256;

    /// <summary>
    /// Blocks for <paramref name="work"/> items, <paramref name="perBlock"/> each: the quotient, rounded up.
    /// </summary>
    public static int Blocks(long work, int perBlock) => checked((int)((work + perBlock - 1) / perBlock));

    /// <summary>Blocks of a row kernel with this many lanes per row.</summary>
    public static int RowBlocks(long rows, int lanes = 32) => Blocks(rows, RowThreads / lanes);

    /// <summary>
    /// Lanes per row of a row reduction: 8 up to 1024 columns, where a whole warp would have little to do and, on the
    /// CPU device, each lane is a fiber that costs as much as a hundred elements.
    /// </summary>
    public static int RowLanes(int columns) => columns <= 1024 ? 8 : 32;

    /// <summary>Blocks of a flat kernel.</summary>
    public static int FlatBlocks(long count, DType type) => Blocks(count, FlatThreads * (16 / type.Size()));
}
