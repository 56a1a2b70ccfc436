using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>Orthogonal factors of matrices, and the Cayley transform between rotations and skew matrices.</summary>
internal static class Rotations
{
    // Of the largest singular value, times the size: what is smaller is rounding.
    private const double Rounding = 16 * 2.2e-16;

    /// <summary>
    /// Returns the orthogonal Q [n, n] that makes ⟨Q, a⟩ largest: U Vᵀ of the SVD. Where <paramref name="a"/> lacks
    /// rank, Q is not determined, and the one nearest to the identity is chosen.
    /// </summary>
    public static HostMatrix Nearest(Device device, HostMatrix a)
    {
        int n = a.Rows;
        var svd = DoubleSvd.Compute(device, a.Values, n, n);
        HostMatrix left = new(n, n, svd.Left);
        HostMatrix right = new(n, n, svd.Right);
        int rank = svd.Values.Count(value => value > svd.Values[0] * n * Rounding);
        if (rank == n)
            return left.Transposed().Times(right);
        HostMatrix determined =
            rank == 0 ? new HostMatrix(n, n) : left.TakeRows(rank).Transposed().Times(right.TakeRows(rank));
        (HostMatrix leftRest, HostMatrix rightRest) = (left.TakeRows(rank - n), right.TakeRows(rank - n));
        HostMatrix between = Polar(device, leftRest.TimesTransposed(rightRest));
        return determined.Plus(leftRest.Transposed().Times(between).Times(rightRest));
    }

    /// <summary>Returns the polar factor U Vᵀ of a matrix: the nearest with orthonormal rows or columns.</summary>
    public static HostMatrix Polar(Device device, HostMatrix a)
    {
        var svd = DoubleSvd.Compute(device, a.Values, a.Rows, a.Columns);
        int n = svd.Values.Length;
        return new HostMatrix(n, a.Rows, svd.Left).Transposed().Times(new HostMatrix(n, a.Columns, svd.Right));
    }

    /// <summary>Returns the skew A = (Q + I)⁻¹ (Q − I) of a rotation; null if it turns a direction round.</summary>
    public static HostMatrix? ToSkew(HostMatrix rotation)
    {
        HostMatrix identity = Identity(rotation.Rows);
        if (rotation.Plus(identity).Solve(rotation.Plus(identity, -1)) is not { } solved)
            return null;
        HostMatrix skew = solved.Plus(solved.Transposed(), -1);
        for (int i = 0; i < skew.Values.Length; i++)
            skew.Values[i] /= 2;
        return skew;
    }

    /// <summary>Returns the rotation Q = (I − A)⁻¹ (I + A) of a skew matrix.</summary>
    public static HostMatrix FromSkew(HostMatrix skew)
    {
        HostMatrix identity = Identity(skew.Rows);
        return identity.Plus(skew, -1).Solve(identity.Plus(skew))!; // I − A has no eigenvalue below 1
    }

    private static HostMatrix Identity(int n)
    {
        var identity = new HostMatrix(n, n);
        for (int i = 0; i < n; i++)
            identity.Values[(i * n) + i] = 1;
        return identity;
    }
}
