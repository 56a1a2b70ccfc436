using System.Collections.Concurrent;

namespace Spectral.Training.Numerics;

/// <summary>
/// The levels to which standard normal numbers are rounded in a few bits: each level is the median of its cell, and
/// cells meet in the middle between levels. In one bit they are ±0.6745, the quartiles.
/// </summary>
internal sealed class NormalLevels
{
    /// <summary>The largest number of bits.</summary>
    public const int MostBits = 4;

    private const int Rounds = 500; // far more than the levels need to settle

    private static readonly ConcurrentDictionary<int, NormalLevels> Known = new();

    private NormalLevels(int bits)
    {
        Centres = new double[1 << bits];
        Bounds = new double[Centres.Length - 1];
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < Bounds.Length; i++)
                Bounds[i] = (Centres[i] + Centres[i + 1]) / 2;
            for (int i = 0; i < Centres.Length; i++)
            {
                double below = i == 0 ? 0 : NormalDistribution.Cumulative(Bounds[i - 1]);
                double above = i == Bounds.Length ? 1 : NormalDistribution.Cumulative(Bounds[i]);
                Centres[i] = NormalDistribution.Quantile((below + above) / 2);
            }
        }
    }

    /// <summary>The levels, ascending, [2^bits].</summary>
    public double[] Centres { get; }

    /// <summary>The bounds between the cells, ascending, [2^bits − 1].</summary>
    public double[] Bounds { get; }

    /// <summary>Returns the levels of a number of bits, 1 to <see cref="MostBits"/>.</summary>
    public static NormalLevels Of(int bits) => Known.GetOrAdd(bits, static width => new NormalLevels(width));

    /// <summary>Returns the index of the cell of a number.</summary>
    public int CellOf(double value)
    {
        int cell = 0;
        while (cell < Bounds.Length && value > Bounds[cell])
            cell++;
        return cell;
    }
}
