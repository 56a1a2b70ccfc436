namespace Spectral.Training.Metrics;

/// <summary>Computes the correlation of the ranks of two series (Spearman, 1904), scipy's <c>spearmanr</c>.</summary>
public static class SpearmanCorrelation
{
    /// <summary>
    /// Returns the correlation, from −1 to 1; NaN for fewer than two values, where a series is constant, or with a NaN.
    /// </summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static double Of(ReadOnlySpan<double> expected, ReadOnlySpan<double> predicted) =>
        PearsonCorrelation.Of(Ranks(expected), Ranks(predicted));

    /// <summary>Returns the rank of each value from 1; equal values share the mean of their ranks.</summary>
    public static double[] Ranks(ReadOnlySpan<double> values)
    {
        double[] sorted = values.ToArray();
        int[] order = [.. Enumerable.Range(0, sorted.Length)];
        Array.Sort(sorted, order);
        double[] ranks = new double[sorted.Length];
        for (int first = 0, end; first < sorted.Length; first = end)
        {
            end = first + 1;
            while (end < sorted.Length && sorted[end] == sorted[first])
                end++;
            // Ranks first + 1 to end; those of a NaN, which is equal to nothing, say nothing.
            double mean = double.IsNaN(sorted[first]) ? double.NaN : (first + 1 + end) / 2.0;
            for (int i = first; i < end; i++)
                ranks[order[i]] = mean;
        }

        return ranks;
    }
}
