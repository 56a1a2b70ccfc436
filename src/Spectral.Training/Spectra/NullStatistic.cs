using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>A quantity over random updates.</summary>
/// <param name="Mean">Mean over the draws.</param>
/// <param name="StandardDeviation">Over the draws, with n − 1.</param>
/// <param name="Z">(observed − mean) / standard deviation; NaN where the draws do not vary.</param>
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
