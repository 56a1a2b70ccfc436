using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>The principal angles on one side, in degrees, and their summaries.</summary>
/// <param name="Angles">The angles, ascending, [k].</param>
/// <param name="Mean">Mean of the principal angles, in degrees.</param>
/// <param name="Largest">Largest of the principal angles, in degrees.</param>
/// <param name="Similarity">The mean squared cosine: 1 for equal spans, 0 for orthogonal ones.</param>
/// <param name="Geodesic">The distance on the Grassmannian, √Σθ² in radians.</param>
/// <param name="RandomSimilarity">The average similarity of two random subspaces, k / dimension.</param>
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
    /// Computes the angles: large ones from their cosines and small ones from their sines, so that rounding does not
    /// dominate.
    /// </summary>
    internal static SubspaceSide Of(HostMatrix before, HostMatrix after, Device device)
    {
        int k = before.Rows;
        HostMatrix products = after.TimesTransposed(before);
        // The part of the new vectors outside the old span.
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
