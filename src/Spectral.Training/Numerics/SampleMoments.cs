namespace Spectral.Training.Numerics;

/// <summary>The mean and the standard deviation of some values.</summary>
/// <param name="Mean">Σx / n; NaN without values.</param>
/// <param name="Deviation">√(Σ(x − mean)² / (n − 1)); NaN of fewer than two values.</param>
internal readonly record struct SampleMoments(double Mean, double Deviation)
{
    /// <summary>Computes the moments of some values. Sums are taken in their order.</summary>
    public static SampleMoments Of(IReadOnlyCollection<double> values)
    {
        if (values.Count == 0)
            return new SampleMoments(double.NaN, double.NaN);
        double mean = values.Average();
        double squares = values.Sum(value => (value - mean) * (value - mean));
        return new SampleMoments(mean, values.Count < 2 ? double.NaN : Math.Sqrt(squares / (values.Count - 1)));
    }
}
