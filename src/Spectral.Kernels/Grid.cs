namespace Spectral.Kernels;

/// <summary>Counts the blocks of a launch in each dimension. A number or a tuple converts to one.</summary>
/// <param name="X">Blocks along x, from 1 to 2³¹ − 1.</param>
/// <param name="Y">Blocks along y, from 1 to 65,535.</param>
/// <param name="Z">Blocks along z, from 1 to 65,535.</param>
public readonly record struct Grid(int X, int Y = 1, int Z = 1)
{
    /// <summary>Makes a grid of one dimension.</summary>
    public static implicit operator Grid(int x) => new(x);

    /// <summary>Makes a grid of two dimensions.</summary>
    public static implicit operator Grid((int X, int Y) blocks) => new(blocks.X, blocks.Y);

    /// <summary>Makes a grid of three dimensions.</summary>
    public static implicit operator Grid((int X, int Y, int Z) blocks) => new(blocks.X, blocks.Y, blocks.Z);

    /// <summary>Writes the grid as errors show it, e.g. <c>64×1×1</c>.</summary>
    public override string ToString() => $"{X}×{Y}×{Z}";
}
