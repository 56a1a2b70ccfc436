using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Computes a truncated SVD from all singular values: an orthonormal basis of the columns, then the SVD of the square
/// rest in F64. Costs about 4mn² + 20n³ operations for m ≥ n.
/// </summary>
public static class ExactSvd
{
    private const double Rounding = 1e-6; // of the largest value: products and basis are F32

    /// <summary>
    /// Computes the first <paramref name="rank"/> singular values and vectors of a matrix, to F32 rounding.
    /// </summary>
    /// <param name="a">[m, n], F32, BF16 or quantised.</param>
    /// <param name="rank">1 to the smaller of m and n.</param>
    /// <exception cref="ArgumentException">The rank is out of range, or a holds NaN or infinite values.</exception>
    /// <exception cref="ArithmeticException">The small decomposition did not converge.</exception>
    public static SvdResult Compute(FrozenWeight a, int rank) => Compute(a, rank, SmallProblems.Auto);

    internal static SvdResult Compute(FrozenWeight a, int rank, SmallProblems where)
    {
        using var matrix = SvdMatrix.Prepare(a, rank);
        if (matrix.IsZero)
            return matrix.ZeroResult(rank, SvdMethod.Exact);
        Device device = a.Device;
        int m = matrix.Rows;
        int n = matrix.Columns;
        using var q = Tensor.Empty(device, (n, m));
        using var core = Tensor.Empty(device, (n, n));
        using (Tensor columns = matrix.ColumnsAsRows())
            Orthonormalization.Rows(columns, q, where);
        matrix.ApplyTransposed(q, core); // Qᵀ A: the right vectors of this square matrix are those of A

        using var coreLeft = Tensor.Empty(device, (n, n));
        using var coreRight = Tensor.Empty(device, (n, n));
        using var values = Tensor.Empty(device, n);
        using var s = Tensor.Empty(device, rank);
        using SmallSvd.Outcome outcome = SmallSvd.Run(core, coreLeft, values, coreRight, where);
        SvdSteps.Truncate(values, s, probes: null, matrix.Tolerance);
        outcome.Sweeps();
        float[] all = values.ToArray();
        float[] kept = s.ToArray();
        int first = kept.AsSpan().IndexOf(0f) is >= 0 and var zero ? zero : rank; // the first value that is left out

        using var left = Tensor.Empty(device, (rank, m));
        using Tensor right = coreRight.Rows(0, rank);
        Gemm.Run(
            new GemmOperand(coreLeft, 0, n).Transpose(),
            new GemmOperand(q, 0, m),
            new GemmOperand(left, 0, m),
            new GemmSize(rank, m, n)
        );
        return matrix.Result(left, kept, right, (first < n ? all[first] : 0) + Rounding * all[0], SvdMethod.Exact);
    }
}
