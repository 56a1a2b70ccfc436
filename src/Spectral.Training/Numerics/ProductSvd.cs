using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Numerics;

/// <summary>
/// The SVD of a product L R in double, without the product: with Lᵀ's and R's thin QR decompositions L = Q_L T_L and
/// Rᵀ = Q_R T_R, the SVD of the small T_L T_Rᵀ. Costs about (out + in)·r² operations, where the product alone would
/// cost out·in·r.
/// </summary>
/// <param name="Left">The left vectors, [k, out], one per row; k is at most the rank of the factors.</param>
/// <param name="Values">The singular values [k], descending; those below rounding are 0.</param>
/// <param name="Right">The right vectors, [k, in].</param>
internal sealed record ProductSvd(HostMatrix Left, double[] Values, HostMatrix Right)
{
    private const double DoubleRounding = 2.2e-16;

    /// <summary>Decomposes L [rows, rank] R [rank, columns], whose values are finite.</summary>
    public static ProductSvd Of(Device device, float[] left, float[] right, int rows, int rank, int columns)
    {
        var l = ThinQr.Of(HostMatrix.From(left, rows, rank).Transposed());
        var r = ThinQr.Of(HostMatrix.From(right, rank, columns));
        HostMatrix core = l.Triangle.TimesTransposed(r.Triangle);
        var svd = DoubleSvd.Compute(device, core.Values, core.Rows, core.Columns);
        int count = svd.Values.Length;
        double zero = svd.Values[0] * DoubleRounding * Math.Max(rows, columns);
        return new ProductSvd(
            new HostMatrix(count, core.Rows, svd.Left).Times(l.Directions),
            [.. svd.Values.Select(value => value > zero ? value : 0)],
            new HostMatrix(count, core.Columns, svd.Right).Times(r.Directions)
        );
    }

    /// <summary>The squared Frobenius norm of the product less its best approximation of a rank.</summary>
    public double Tail(int rank)
    {
        double sum = 0;
        for (int i = Values.Length - 1; i >= rank; i--) // small ones first, for the least rounding
            sum += Values[i] * Values[i];
        return sum;
    }

    /// <summary>Returns the smallest rank, at least 1, that keeps a share of the squared Frobenius norm.</summary>
    /// <param name="energy">The share, above 0 and at most 1.</param>
    public int RankFor(double energy)
    {
        double allowed = (1 - energy) * Tail(0);
        int rank = 1;
        while (Tail(rank) > allowed)
            rank++;
        return rank;
    }

    /// <summary>Returns the SVD without the values behind a rank.</summary>
    public ProductSvd Take(int rank) => new(Left.TakeRows(rank), Values[..rank], Right.TakeRows(rank));

    /// <summary>Returns U √Σ, [out, size], padded with zeros.</summary>
    public float[] BalancedLeft(int size) => HostMatrix.Transposed(Balanced(Left, size), size, Left.Columns);

    /// <summary>Returns √Σ Vᵀ, [size, in], padded with zeros.</summary>
    public float[] BalancedRight(int size) => Balanced(Right, size);

    private float[] Balanced(HostMatrix vectors, int size)
    {
        float[] balanced = new float[(long)size * vectors.Columns];
        for (int i = 0; i < vectors.Rows; i++)
        {
            double root = Math.Sqrt(Values[i]);
            for (int j = 0; j < vectors.Columns; j++)
                balanced[(i * vectors.Columns) + j] = (float)(root * vectors[i, j]);
        }

        return balanced;
    }
}
