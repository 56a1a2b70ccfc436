using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>The values of a quantity for random updates.</summary>
/// <param name="Mean">The mean over the draws.</param>
/// <param name="StandardDeviation">The standard deviation over the draws, with n − 1.</param>
/// <param name="Z">The z value (observed − mean) / standard deviation; NaN if the draws do not vary.</param>
public sealed record NullStatistic(double Mean, double StandardDeviation, double Z)
{
    internal static NullStatistic Of(double[][] draws, int quantity, double observed)
    {
        (double mean, double deviation) = SampleMoments.Of([.. draws.Select(draw => draw[quantity])]);
        return new NullStatistic(
            mean,
            deviation,
            deviation > 1e-12 * Math.Abs(mean) ? (observed - mean) / deviation : double.NaN
        );
    }
}
