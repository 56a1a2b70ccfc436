using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The distribution of a matrix's entries and its distance from a Gaussian. Values are NaN if all entries are equal.
/// </summary>
/// <param name="Mean">The mean of the entries.</param>
/// <param name="StandardDeviation">The standard deviation of the entries, as a population.</param>
/// <param name="Skewness">The third standardised moment; 0 for a Gaussian.</param>
/// <param name="ExcessKurtosis">The fourth standardised moment minus 3; 0 for a Gaussian.</param>
/// <param name="KolmogorovSmirnov">
/// The largest distance between the distribution function and that of the Gaussian with the same mean and deviation.
/// </param>
/// <param name="PValue">
/// The p value of that distance by Kolmogorov's limit. Since the Gaussian is fitted to the same entries, it is too
/// large: a small value is evidence against a Gaussian, but a large one is not evidence for it.
/// </param>
/// <param name="Sampled">The number of evenly spaced entries for which the distance was measured.</param>
public sealed record EntryStatistics(
    double Mean,
    double StandardDeviation,
    double Skewness,
    double ExcessKurtosis,
    double KolmogorovSmirnov,
    double PValue,
    int Sampled
)
{
    private const int MostSampled = 100_000;

    internal static EntryStatistics Of(HostMatrix matrix)
    {
        double[] values = matrix.Values;
        double mean = values.Sum() / values.Length;
        double second = 0;
        double third = 0;
        double fourth = 0;
        foreach (double value in values)
        {
            double deviation = value - mean;
            double square = deviation * deviation;
            second += square;
            third += square * deviation;
            fourth += square * square;
        }
        second /= values.Length;
        double sigma = Math.Sqrt(second);
        double[] sample = Sample(values);
        double distance = sigma > 0 ? Distance(sample, mean, sigma) : double.NaN;
        return new EntryStatistics(
            mean,
            sigma,
            third / values.Length / (second * sigma),
            (fourth / values.Length / (second * second)) - 3,
            distance,
            Kolmogorov(distance, sample.Length),
            sample.Length
        );
    }

    // Only a stride coprime to the row length would avoid all structure. Even spacing over the whole matrix is good
    // enough for a distance.
    private static double[] Sample(double[] values)
    {
        int count = Math.Min(values.Length, MostSampled);
        double[] sample = new double[count];
        for (int i = 0; i < count; i++)
            sample[i] = values[(long)i * values.Length / count];
        Array.Sort(sample);
        return sample;
    }

    private static double Distance(double[] sorted, double mean, double sigma)
    {
        double largest = 0;
        for (int i = 0; i < sorted.Length; i++)
        {
            double expected = NormalDistribution.Cumulative((sorted[i] - mean) / sigma);
            largest = Math.Max(
                largest,
                Math.Max(expected - ((double)i / sorted.Length), ((i + 1.0) / sorted.Length) - expected)
            );
        }
        return largest;
    }

    // Kolmogorov's limit 2 Σ (−1)^{j−1} exp(−2 j² λ²), with Stephens' correction of λ for finite samples.
    private static double Kolmogorov(double distance, int count)
    {
        double root = Math.Sqrt(count);
        double lambda = (root + 0.12 + (0.11 / root)) * distance;
        double sum = 0;
        if (lambda < 0.2)
            return 1;
        for (int j = 1; j <= 100; j++)
        {
            double term = Math.Exp(-2.0 * j * j * lambda * lambda);
            sum += j % 2 == 1 ? term : -term;
            if (term < 1e-12)
                break;
        }
        return Math.Clamp(2 * sum, 0, 1);
    }
}
