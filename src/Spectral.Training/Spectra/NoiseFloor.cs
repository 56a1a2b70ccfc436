using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The size of the change that rounding to the stored types alone would cause. Differences close to it cannot be
/// measured.
/// </summary>
/// <param name="Relative">
/// The expected ‖noise‖_F / ‖W0‖_F, where the error of each entry is uniform within half a unit in the last place.
/// </param>
/// <param name="Ratio">The ratio of ‖Δ‖_F to the expected ‖noise‖_F.</param>
/// <param name="Measurable">Whether that ratio is above the limit of the options.</param>
public sealed record NoiseFloor(double Relative, double Ratio, bool Measurable)
{
    internal static NoiseFloor Of(WeightPair weights, double baseNorm, double changeNorm, SpectraOptions options)
    {
        double noise = Math.Sqrt(
            (
                Squares(weights.Tuned, weights.TunedType)
                + (weights.BaseIsExact ? 0 : Squares(weights.Base, weights.BaseType))
            ) / 12
        );
        return new NoiseFloor(noise / baseNorm, changeNorm / noise, changeNorm > options.FloorRatio * noise);
    }

    /// <summary>Draws a matrix of rounding errors of the stored types.</summary>
    internal static HostMatrix Draw(WeightPair weights, Device device, ulong seed, ulong stream)
    {
        HostMatrix noise = Draw(weights.Tuned, weights.TunedType, device, seed, stream);
        return weights.BaseIsExact ? noise : noise.Plus(Draw(weights.Base, weights.BaseType, device, seed, ~stream));
    }

    private static HostMatrix Draw(HostMatrix weight, StoredType type, Device device, ulong seed, ulong stream)
    {
        using var uniform = Tensor.Empty(device, (weight.Rows, weight.Columns));
        Philox.Uniform(uniform, seed, stream, -0.5f, 0.5f);
        var noise = HostMatrix.From(uniform.ToArray(), weight.Rows, weight.Columns);
        for (int i = 0; i < noise.Values.Length; i++)
            noise.Values[i] *= UnitInLastPlace(weight.Values[i], type);
        return noise;
    }

    private static double Squares(HostMatrix weight, StoredType type)
    {
        double sum = 0;
        foreach (double value in weight.Values)
        {
            double unit = UnitInLastPlace(value, type);
            sum += unit * unit;
        }
        return sum;
    }

    /// <summary>
    /// Returns the distance between neighbouring numbers of a stored type. F64 counts as F32, because it is read as
    /// such.
    /// </summary>
    private static double UnitInLastPlace(double value, StoredType type)
    {
        (int bits, int least) = type switch
        {
            StoredType.BF16 => (7, -126),
            StoredType.F16 => (10, -14),
            _ => (23, -126),
        };
        return Math.ScaleB(1, (value == 0 ? least : Math.Max(least, Math.ILogB(value))) - bits);
    }
}
