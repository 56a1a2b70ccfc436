using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Numerics;

/// <summary>
/// A sketch S [k, n] of a stream of vectors a_1, a_2, … in double: 0 ≼ AᵀA − SᵀS, and its largest eigenvalue is at most
/// ‖A − A_j‖²/(k + 1 − j) for every j ≤ k, with A_j the best approximation of rank j. Directions that come up often
/// stay, however long the stream (Liberty, "Simple and Deterministic Matrix Sketching", 2013; Ghashami et al., 2016).
/// </summary>
internal static class FrequentDirections
{
    /// <summary>
    /// Adds vectors to a sketch: the SVD of both, with every σ replaced by √(σ² − σ_{k+1}²), of which k are left.
    /// </summary>
    /// <param name="device">The device that computes the SVD.</param>
    /// <param name="sketch">S [k, n], a vector per row; zeros at the beginning.</param>
    /// <param name="vectors">The new vectors [m, n].</param>
    /// <returns>The new sketch [k, n], with orthogonal rows in descending order of their lengths.</returns>
    public static HostMatrix Add(Device device, HostMatrix sketch, HostMatrix vectors)
    {
        (int k, int n) = (sketch.Rows, sketch.Columns);
        double[] stacked = [.. sketch.Values, .. vectors.Values];
        var svd = DoubleSvd.Compute(device, stacked, k + vectors.Rows, n);
        double floor = svd.Values.Length > k ? svd.Values[k] * svd.Values[k] : 0;
        var shrunk = new HostMatrix(k, n);
        for (int i = 0; i < Math.Min(k, svd.Values.Length); i++)
        {
            double length = Math.Sqrt(Math.Max((svd.Values[i] * svd.Values[i]) - floor, 0));
            for (int j = 0; j < n; j++)
                shrunk.Values[(i * n) + j] = length * svd.Right[(i * n) + j];
        }
        return shrunk;
    }

    /// <summary>Returns how many of a sketch's leading rows hold a share of its squared Frobenius norm.</summary>
    /// <param name="sketch">A sketch that <see cref="Add"/> returned.</param>
    /// <param name="energy">The share, above 0 and at most 1.</param>
    public static int CountFor(HostMatrix sketch, double energy)
    {
        double[] squares =
        [
            .. Enumerable.Range(0, sketch.Rows).Select(i => HostMatrix.Dot(sketch.Row(i), sketch.Row(i))),
        ];
        double wanted = energy * squares.Sum();
        int count = 0;
        for (double held = 0; count < squares.Length && squares[count] > 0 && held < wanted; count++)
            held += squares[count];
        return count;
    }
}
