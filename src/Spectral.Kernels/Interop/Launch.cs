using System.Diagnostics.CodeAnalysis;

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

    /// <summary>Most blocks that a grid has along y, and along z.</summary>
    public const int MostAlongY = 65_535;

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

    /// <summary>
    /// Returns how many rows a block takes where grid y counts the blocks: those wanted, or more if there would be too
    /// many blocks.
    /// </summary>
    public static int Chunk(int rows, int wanted) => Math.Max(wanted, Blocks(rows, MostAlongY));

    /// <summary>Queues one launch for a batch of matrices, or several if it has more than 65,535.</summary>
    /// <typeparam name="TArgs">The argument struct of the kernel.</typeparam>
    /// <param name="entry">The kernel, of one entry point.</param>
    /// <param name="device">The device to run on.</param>
    /// <param name="args">Arguments for the whole batch.</param>
    /// <param name="grid">Blocks for the whole batch; the matrices are counted by z, or by y if z is 1.</param>
    public static void Batch<[DynamicallyAccessedMembers(ArgumentFields.Needed)] TArgs>(
        KernelEntry<TArgs> entry,
        Device device,
        TArgs args,
        Grid grid
    )
        where TArgs : unmanaged, IBatchArgs
    {
        for (; grid.Z > MostAlongY; grid = grid with { Z = grid.Z - MostAlongY })
        {
            entry.Launch(device, args, grid with { Z = MostAlongY });
            args.Skip(MostAlongY);
        }
        for (; grid.Y > MostAlongY; grid = grid with { Y = grid.Y - MostAlongY })
        {
            entry.Launch(device, args, grid with { Y = MostAlongY });
            args.Skip(MostAlongY);
        }

        entry.Launch(device, args, grid);
    }

    /// <summary>Moves an address on by some elements; 0 stays 0.</summary>
    /// <param name="address">Address of the first element, or 0.</param>
    /// <param name="elements">Number of elements.</param>
    /// <param name="bytes">Bytes of one.</param>
    public static ulong Skip(ulong address, long elements, int bytes = sizeof(float)) =>
        address == 0 ? 0 : address + (ulong)(elements * bytes);
}
