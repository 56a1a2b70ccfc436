using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// A number over several matrices; what is not defined for a matrix is left out. NaN where nothing is left.
/// </summary>
/// <param name="Mean">Mean.</param>
/// <param name="StandardDeviation">With n − 1; NaN below two.</param>
/// <param name="Least">Smallest.</param>
/// <param name="Largest">Largest.</param>
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
