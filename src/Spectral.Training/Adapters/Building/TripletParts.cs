using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Writes singular vectors, each times a weight, into an adapter's factors. They pass through the host, which happens
/// only once.
/// </summary>
internal static class TripletParts
{
    /// <summary>Writes L [out, r]: column i is left vector which[i] times weight(σ).</summary>
    public static void CopyLeft(this SvdResult svd, Tensor left, int[] which, Func<double, double> weight)
    {
        (float[] vectors, float[] weights, int stride) = (svd.U.ToArray(), Weights(svd, which, weight), svd.U.Dim(1));
        float[] values = new float[left.Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = weights[i % which.Length] * vectors[i / which.Length * stride + which[i % which.Length]];
        left.CopyFrom(values);
    }

    /// <summary>Writes R [r, in]: row i is right vector which[i] times weight(σ).</summary>
    public static void CopyRight(this SvdResult svd, Tensor right, int[] which, Func<double, double> weight)
    {
        (float[] vectors, float[] weights, int columns) = (
            svd.Vt.ToArray(),
            Weights(svd, which, weight),
            svd.Vt.Dim(1)
        );
        float[] values = new float[right.Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = weights[i / columns] * vectors[which[i / columns] * columns + i % columns];
        right.CopyFrom(values);
    }

    /// <summary>
    /// Writes L and R of the chosen triplets with √(σ/s) on either side, so that s·L·R is their share of the matrix and
    /// both factors have the same norm.
    /// </summary>
    public static void CopyBalanced(this SvdResult svd, Tensor left, Tensor right, int[] which, double scale)
    {
        svd.CopyLeft(left, which, Weight);
        svd.CopyRight(right, which, Weight);

        double Weight(double sigma) => Math.Sqrt(sigma / scale);
    }

    private static float[] Weights(SvdResult svd, int[] which, Func<double, double> weight)
    {
        float[] sigma = svd.S.ToArray();
        return Array.ConvertAll(which, index => (float)weight(sigma[index]));
    }
}
