namespace Spectral.Kernels;

/// <summary>Counts the threads of a block in each dimension. A number or a tuple converts to one.</summary>
/// <param name="X">Threads along x, from 1 to 1,024.</param>
/// <param name="Y">Threads along y, from 1 to 1,024.</param>
/// <param name="Z">Threads along z, from 1 to 64.</param>
public readonly record struct Block(int X, int Y = 1, int Z = 1)
{
    /// <summary>Number of threads in all three dimensions together.</summary>
    public long Threads => (long)X * Y * Z;

    /// <summary>Makes a block of one dimension.</summary>
    public static implicit operator Block(int x) => new(x);

    /// <summary>Makes a block of two dimensions.</summary>
    public static implicit operator Block((int X, int Y) threads) => new(threads.X, threads.Y);

    /// <summary>Makes a block of three dimensions.</summary>
    public static implicit operator Block((int X, int Y, int Z) threads) => new(threads.X, threads.Y, threads.Z);

    /// <summary>Writes the block as errors show it, e.g. <c>16×16×1</c>.</summary>
    public override string ToString() => $"{X}×{Y}×{Z}";
}
