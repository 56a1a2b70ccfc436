namespace Spectral.Training.Metrics;

/// <summary>Computes the linear correlation of two series, scipy's <c>pearsonr</c>.</summary>
public static class PearsonCorrelation
{
    /// <summary>
    /// Returns the correlation, from −1 to 1; NaN for fewer than two values or where a series is constant.
    /// </summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static double Of(ReadOnlySpan<double> expected, ReadOnlySpan<double> predicted)
    {
        if (expected.Length != predicted.Length)
        {
            throw new ArgumentException(
                $"{predicted.Length} predicted values, expected {expected.Length}",
                nameof(predicted)
            );
        }

        (double meanExpected, double meanPredicted) = (Mean(expected), Mean(predicted));
        (double both, double left, double right) = (0, 0, 0);
        for (int i = 0; i < expected.Length; i++)
        {
            (double x, double y) = (expected[i] - meanExpected, predicted[i] - meanPredicted);
            both += x * y;
            left += x * x;
            right += y * y;
        }

        double spread = Math.Sqrt(left) * Math.Sqrt(right);
        return spread > 0 ? Math.Clamp(both / spread, -1, 1) : double.NaN;
    }

    private static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values)
            sum += value;
        return sum / values.Length;
    }
}
