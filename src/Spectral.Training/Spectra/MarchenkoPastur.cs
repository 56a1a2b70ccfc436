using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Compares the spectrum of a matrix with that of independent entries of the same variance s². For large matrices, the
/// values σ²/(s² max(out, in)) of those follow the law of Marchenko and Pastur (1967) with the ratio γ = min(out, in) /
/// max(out, in). Values are NaN if all entries are equal or a dimension is 1.
/// </summary>
/// <param name="Edge">The largest singular value by the law, s (√out + √in).</param>
/// <param name="Limit">
/// The value that the largest singular value exceeds in 1 % of matrices of this size with independent Gaussian entries
/// (Johnstone 2001).
/// </param>
/// <param name="Beyond">
/// The number of singular values above the limit; a lower bound if <paramref name="Truncated"/>.
/// </param>
/// <param name="EnergyBeyond">The share of those values in the squared Frobenius norm.</param>
/// <param name="Distance">
/// The largest distance between the distribution function of the squared singular values and that of the law. For
/// independent entries it is of the order of 1 / min(out, in); NaN if values are missing.
/// </param>
/// <param name="Truncated">Whether all values computed are above the limit and others may be.</param>
public sealed record MarchenkoPastur(
    double Edge,
    double Limit,
    int Beyond,
    double EnergyBeyond,
    double Distance,
    bool Truncated
)
{
    /// <summary>The 99 % quantile of the Tracy-Widom distribution of real matrices.</summary>
    private const double TracyWidom = 2.0234;

    internal static MarchenkoPastur Of(Triplets triplets, double deviation)
    {
        int rows = triplets.Left.Columns;
        int columns = triplets.Right.Columns;
        (int least, int most) = (Math.Min(rows, columns), Math.Max(rows, columns));
        if (!(deviation > 0) || least < 2)
            return new MarchenkoPastur(double.NaN, double.NaN, 0, double.NaN, double.NaN, false);
        double limit = deviation * LargestOfGaussian(least, most);
        double[] beyond = [.. triplets.Values.TakeWhile(value => value > limit)];
        bool isComplete = triplets.Count == least;
        return new MarchenkoPastur(
            deviation * (Math.Sqrt(least) + Math.Sqrt(most)),
            limit,
            beyond.Length,
            beyond.Sum(value => value * value) / (triplets.FrobeniusNorm * triplets.FrobeniusNorm),
            isComplete ? DistanceOf(triplets.Values, deviation * deviation * most, least / (double)most) : double.NaN,
            !isComplete && beyond.Length == triplets.Count
        );
    }

    /// <summary>
    /// Returns the singular values, divided by s √max(out, in), that the law expects at the positions of a spectrum.
    /// </summary>
    /// <param name="positions">The positions, counted from 0 for the largest value.</param>
    /// <param name="least">The smaller dimension, which is the number of values.</param>
    /// <param name="most">The larger dimension.</param>
    public static double[] Expected(IEnumerable<int> positions, int least, int most) =>
        [.. positions.Select(position => Math.Sqrt(Quantile(1 - ((position + 0.5) / least), least / (double)most)))];

    /// <summary>Computes the distribution function of the law for entries of variance 1.</summary>
    /// <param name="x">A squared singular value, divided by the larger dimension.</param>
    /// <param name="ratio">The ratio γ of the smaller dimension to the larger one, in (0, 1].</param>
    internal static double Distribution(double x, double ratio)
    {
        double root = Math.Sqrt(ratio);
        double low = (1 - root) * (1 - root);
        double high = (1 + root) * (1 + root);
        if (x <= low)
            return 0;
        if (x >= high)
            return 1;
        // An antiderivative of √((high − x)(x − low)) / x, which is −πγ at the lower end.
        double whole =
            Math.Sqrt((high - x) * (x - low))
            + ((1 + ratio) * ArcSine(((2 * x) - low - high) / (high - low)))
            - ((1 - ratio) * ArcSine((((low + high) * x) - (2 * low * high)) / (x * (high - low))));
        return Math.Clamp(0.5 + (whole / (2 * Math.PI * ratio)), 0, 1);
    }

    /// <summary>Computes the inverse of <see cref="Distribution"/> by bisection.</summary>
    internal static double Quantile(double probability, double ratio)
    {
        double root = Math.Sqrt(ratio);
        double low = (1 - root) * (1 - root);
        double high = (1 + root) * (1 + root);
        for (int step = 0; step < 60; step++)
        {
            double middle = (low + high) / 2;
            if (Distribution(middle, ratio) < probability)
                low = middle;
            else
                high = middle;
        }
        return (low + high) / 2;
    }

    // Johnstone's centre and scale of the largest eigenvalue of a Wishart matrix.
    private static double LargestOfGaussian(int least, int most)
    {
        double sum = Math.Sqrt(most - 1) + Math.Sqrt(least);
        double scale = sum * Math.Cbrt((1 / Math.Sqrt(most - 1)) + (1 / Math.Sqrt(least)));
        return Math.Sqrt((sum * sum) + (TracyWidom * scale));
    }

    private static double DistanceOf(double[] descending, double scale, double ratio)
    {
        double largest = 0;
        int count = descending.Length;
        for (int i = 0; i < count; i++)
        {
            double expected = Distribution(descending[i] * descending[i] / scale, ratio);
            double above = 1 - ((double)i / count);
            double below = 1 - ((i + 1.0) / count);
            largest = Math.Max(largest, Math.Max(above - expected, expected - below));
        }
        return largest;
    }

    private static double ArcSine(double sine) => Math.Asin(Math.Clamp(sine, -1, 1));
}
