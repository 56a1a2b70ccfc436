using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Principal angles between the spans of the first (or last) k singular vectors before and after, on both sides.
/// </summary>
/// <param name="K">Dimension.</param>
/// <param name="Bottom">Whether these are the last vectors.</param>
/// <param name="Left">Of the left vectors, in R^out.</param>
/// <param name="Right">Of the right vectors, in R^in.</param>
public sealed record SubspaceAngles(int K, bool Bottom, SubspaceSide Left, SubspaceSide Right)
{
    internal static SubspaceAngles Of(MatrixPair pair, int k, bool bottom, Device device)
    {
        int count = bottom ? -k : k;
        return new SubspaceAngles(
            k,
            bottom,
            SubspaceSide.Of(pair.Base.Left.TakeRows(count), pair.Tuned.Left.TakeRows(count), device),
            SubspaceSide.Of(pair.Base.Right.TakeRows(count), pair.Tuned.Right.TakeRows(count), device)
        );
    }

    /// <summary>(1/k) ‖X Yᵀ‖_F² of orthonormal rows: the mean squared cosine of the principal angles.</summary>
    internal static double Similarity(HostMatrix x, HostMatrix y, int k) =>
        Math.Min(1, x.TakeRows(k).TimesTransposed(y.TakeRows(k)).SquaredNorm() / k);
}

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
