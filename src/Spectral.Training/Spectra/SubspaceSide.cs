using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>The principal angles on one side, in degrees, and their summaries.</summary>
/// <param name="Angles">Ascending, [k].</param>
/// <param name="Mean">Mean angle.</param>
/// <param name="Largest">Largest angle.</param>
/// <param name="Similarity">Mean squared cosine: 1 for equal spans, 0 for orthogonal ones.</param>
/// <param name="Geodesic">√Σθ² in radians, the distance on the Grassmannian.</param>
/// <param name="RandomSimilarity">What two random subspaces have on average: k / dimension.</param>
public sealed record SubspaceSide(
    double[] Angles,
    double Mean,
    double Largest,
    double Similarity,
    double Geodesic,
    double RandomSimilarity
)
{
    /// <summary>
    /// Large angles from their cosines, small ones from their sines: each where it is not lost in rounding.
    /// </summary>
    internal static SubspaceSide Of(HostMatrix before, HostMatrix after, Device device)
    {
        int k = before.Rows;
        HostMatrix products = after.TimesTransposed(before);
        // what of the new vectors lies outside the old span
        HostMatrix outside = after.Plus(products.Times(before), -1);
        double[] cosines = DoubleSvd.ValuesOf(device, products.Values, k, k);
        double[] sines = DoubleSvd.ValuesOf(device, outside.Values, k, before.Columns);
        double[] angles = new double[k];
        for (int i = 0; i < k; i++)
        {
            double cosine = Math.Min(1, cosines[i]);
            double sine = Math.Min(1, sines[k - 1 - i]);
            angles[i] = cosine > sine ? Math.Asin(sine) : Math.Acos(cosine);
        }
        const double Degrees = 180 / Math.PI;
        return new SubspaceSide(
            [.. angles.Select(angle => angle * Degrees)],
            angles.Average() * Degrees,
            angles[^1] * Degrees,
            Math.Min(1, products.SquaredNorm() / k),
            Math.Sqrt(angles.Sum(angle => angle * angle)),
            k / (double)before.Columns
        );
    }
}
