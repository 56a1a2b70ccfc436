using Spectral.Kernels;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The principal angles between the spans of the first (or last) k singular vectors before and after, on both sides.
/// </summary>
/// <param name="K">The dimension k of the spans.</param>
/// <param name="Bottom">Whether the angles are those of the last vectors instead of the leading ones.</param>
/// <param name="Left">The angles between left vectors, in R^out.</param>
/// <param name="Right">The angles between right vectors, in R^in.</param>
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

    /// <summary>
    /// Returns (1/k) ‖X Yᵀ‖_F² for orthonormal rows: the mean squared cosine of the principal angles.
    /// </summary>
    internal static double Similarity(HostMatrix x, HostMatrix y, int k) =>
        Math.Min(1, x.TakeRows(k).TimesTransposed(y.TakeRows(k)).SquaredNorm() / k);
}
