using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The distribution of a number over several matrices. Matrices for which it is undefined are omitted; NaN if none is
/// left.
/// </summary>
/// <param name="Mean">The mean over the matrices.</param>
/// <param name="StandardDeviation">The standard deviation with n − 1; NaN for fewer than two matrices.</param>
/// <param name="Least">Smallest value among the matrices.</param>
/// <param name="Largest">Largest value among the matrices.</param>
public sealed record SpectraSpread(double Mean, double StandardDeviation, double Least, double Largest)
{
    internal static SpectraSpread Of(IEnumerable<double> values)
    {
        double[] known = [.. values.Where(double.IsFinite)];
        if (known.Length == 0)
            return new SpectraSpread(double.NaN, double.NaN, double.NaN, double.NaN);
        (double mean, double deviation) = SampleMoments.Of(known);
        return new SpectraSpread(mean, deviation, known.Min(), known.Max());
    }
}
