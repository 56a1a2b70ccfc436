using System.Numerics;

namespace Spectral.Kernels.Quantization;

/// <summary>
/// Says which elements of a matrix share a scale: a number of neighbours in the row-major flattened matrix, which cross
/// rows, or a tile of rows and columns.
/// </summary>
public readonly record struct ScaleGrid
{
    private const int All = int.MaxValue;

    private ScaleGrid(int block, int tileRows, int tileColumns) =>
        (Block, TileRows, TileColumns) = (block, tileRows, tileColumns);

    /// <summary>Number of neighbours of the flattened matrix that share a scale; 0 where tiles do.</summary>
    public int Block { get; }

    /// <summary>Number of rows of a tile; 0 where blocks are flat, and more than any matrix has for all.</summary>
    public int TileRows { get; }

    /// <summary>Number of columns of a tile; 0 where blocks are flat, and more than any matrix has for all.</summary>
    public int TileColumns { get; }

    /// <summary>A scale for each row.</summary>
    public static ScaleGrid PerRow => new(0, 1, All);

    /// <summary>One scale for the whole matrix.</summary>
    public static ScaleGrid PerTensor => new(0, All, All);

    /// <summary>Makes a scale for each <paramref name="block"/> neighbours; the last block may be shorter.</summary>
    /// <param name="block">Number of elements: a power of two from 8 to 65,536.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is no such power.</exception>
    public static ScaleGrid Flat(int block) =>
        block is >= 8 and <= 65_536 && BitOperations.IsPow2(block)
            ? new ScaleGrid(block, 0, 0)
            : throw new ArgumentOutOfRangeException(
                nameof(block),
                $"blocks of {block} elements, expected a power of two from 8 to 65536"
            );

    /// <summary>Makes a scale for each tile; those at the right and at the bottom may be smaller.</summary>
    /// <param name="rows">Number of rows of a tile.</param>
    /// <param name="columns">Number of columns of a tile.</param>
    /// <exception cref="ArgumentOutOfRangeException">A tile would be empty.</exception>
    public static ScaleGrid Tiles(int rows, int columns) =>
        rows > 0 && columns > 0
            ? new ScaleGrid(0, rows, columns)
            : throw new ArgumentOutOfRangeException(
                nameof(rows),
                $"tiles of {rows} × {columns}, expected at least one row and one column"
            );

    /// <summary>Returns the number of scales that a matrix of this size has.</summary>
    public long Count(int rows, int columns) =>
        Block > 0 ? ((long)rows * columns + Block - 1) / Block : TilesDown(rows) * TilesAcross(columns);

    /// <summary>Returns the number of tiles beside one another in a matrix of this width.</summary>
    internal long TilesAcross(int columns) => ((long)columns + TileColumns - 1) / TileColumns;

    /// <summary>Returns the number of tiles below one another in a matrix of this height.</summary>
    internal long TilesDown(int rows) => ((long)rows + TileRows - 1) / TileRows;
}
