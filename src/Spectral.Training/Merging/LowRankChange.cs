using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>The best approximation of a change by one of low rank, L R, from its truncated SVD.</summary>
/// <param name="Left">U √Σ, [out, rank].</param>
/// <param name="Right">√Σ Vᵀ, [rank, in].</param>
/// <param name="Lacking">The squared Frobenius norm of the change less L R.</param>
internal sealed record LowRankChange(float[] Left, float[] Right, double Lacking)
{
    /// <summary>
    /// Approximates a change [rows, columns]. Factors of a rank above that of the matrix are padded with zeros.
    /// </summary>
    public static LowRankChange Of(Device device, float[] change, int rows, int columns, int rank)
    {
        using var matrix = Tensor.From(device, change, (rows, columns));
        var triplets = Triplets.Leading(device, change, matrix, rank);
        float[] left = new float[rows * rank];
        float[] right = new float[rank * columns];
        for (int i = 0; i < Math.Min(rank, triplets.Count); i++)
        {
            double root = Math.Sqrt(triplets.Values[i]);
            for (int row = 0; row < rows; row++)
                left[(row * rank) + i] = (float)(root * triplets.Left[i, row]);
            for (int column = 0; column < columns; column++)
                right[(i * columns) + column] = (float)(root * triplets.Right[i, column]);
        }

        using var l = Tensor.From(device, left, (rows, rank));
        using var r = Tensor.From(device, right, (rank, columns));
        Gemm.Run(l, r, matrix, alpha: -1, beta: 1);
        return new LowRankChange(left, right, matrix.ToArray().Sum(value => (double)value * value));
    }
}
