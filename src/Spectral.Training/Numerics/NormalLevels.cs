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
    private const double Widest = 8; // no cell's median is further out

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
                double below = i == 0 ? 0 : Share(Bounds[i - 1]);
                double above = i == Bounds.Length ? 1 : Share(Bounds[i]);
                Centres[i] = Quantile((below + above) / 2);
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

    // Marsaglia's series ("Evaluating the normal distribution", 2004), exact to rounding for the numbers met here.
    private static double Share(double value)
    {
        double term = value;
        double sum = value;
        for (int i = 3; sum + term != sum; i += 2)
        {
            term *= value * value / i;
            sum += term;
        }
        return 0.5 + (sum * Math.Exp(-value * value / 2) / Math.Sqrt(2 * Math.PI));
    }

    private static double Quantile(double share)
    {
        (double low, double high) = (-Widest, Widest);
        while (true)
        {
            double middle = (low + high) / 2;
            if (middle <= low || middle >= high)
                return middle;
            if (Share(middle) < share)
                low = middle;
            else
                high = middle;
        }
    }
}
