using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Computes orthonormal bases of the span of a few long vectors.</summary>
public static class Orthonormalization
{
    /// <summary>Largest deviation of Q Qᵀ from the identity that is ever returned.</summary>
    public const float Tolerance = 1e-5f;

    // Part of x (Frobenius norm) that a Cholesky pass may lose: below it a loss cannot be told from rounding. Where a
    // row nearly depends on those before it, the first pass turns its direction by its rounding error times the
    // condition number, and later rows need that direction.
    private static double SpanTolerance(int length) => Math.Max(1e-6, Math.ScaleB(Math.Sqrt(length), -24));

    /// <summary>Deviation after one pass beyond which the second pass is not certain to reach rounding level.</summary>
    internal const float FirstPassTolerance = 1e-3f;

    /// <summary>
    /// Largest number of rows for Cholesky factors; above it blocked Householder reflections cost less than Gram
    /// matrices in F64.
    /// </summary>
    internal const int LargestCholesky = 256;

    /// <summary>
    /// Fills q with orthonormal rows that span the rows of x, completed where those are dependent. Each step is
    /// checked, and the next safer one is taken if it failed.
    /// </summary>
    /// <param name="x">[l, n], F32, l ≤ n; left alone.</param>
    /// <param name="q">[l, n], F32.</param>
    /// <returns>The method that succeeded.</returns>
    /// <exception cref="ArgumentException">Shapes or types do not fit.</exception>
    /// <exception cref="ArithmeticException">No method reached <see cref="Tolerance"/>: x holds NaN or infinity, or
    /// values whose squares leave F64.</exception>
    public static OrthonormalizationMethod Rows(Tensor x, Tensor q) => Rows(x, q, SmallProblems.Auto);

    internal static OrthonormalizationMethod Rows(Tensor x, Tensor q, SmallProblems where)
    {
        CheckArguments(x, q);
        using var status = Tensor.Zeros(x.Device, (3, Step.Ints), DType.I32);
        if (x.Dim(0) == 0)
            return OrthonormalizationMethod.CholeskyQr2;
        if (x.Dim(0) <= LargestCholesky)
        {
            Cholesky(x, q, status, 0, 0, where);
            if (Accepted(status, 0) && Holds(x, q))
                return OrthonormalizationMethod.CholeskyQr2;
            // The shift that keeps a factor of rounding errors of F64 positive; the scaled matrix has norm at most l.
            double m = x.Dim(1);
            double l = x.Dim(0);
            Cholesky(x, q, status, 1, 11 * (m * l + l * (l + 1)) * Math.ScaleB(1, -53) * l, where);
            using var once = Tensor.Empty(x.Device, q.Shape);
            once.CopyFrom(q);
            Cholesky(once, q, status, 2, 0, where);
            if (Accepted(status, 2) && Holds(x, q))
                return OrthonormalizationMethod.ShiftedCholeskyQr3;
        }
        q.CopyFrom(x);
        x.Device.Solver.Householder(q);
        float deviation = Deviation(q);
        if (deviation <= Tolerance)
            return OrthonormalizationMethod.Householder;
        throw new ArithmeticException(
            $"{x.Shape}: orthonormal rows deviate by {deviation}, expected at most {Tolerance}; the "
                + "matrix holds NaN or infinity, or values too large to square"
        );
    }

    /// <summary>Returns max |Q Qᵀ − I|.</summary>
    internal static float Deviation(Tensor q)
    {
        using var gram = Tensor.Empty(q.Device, (q.Dim(0), q.Dim(0)), DType.F64);
        using var deviation = Tensor.Zeros(q.Device, 1, DType.I32);
        Gram.Run(q, gram, deviation.Pointer);
        return BitConverter.Int32BitsToSingle(deviation.ToInt32Array()[0]);
    }

    // Is q orthonormal, and x within its span?
    private static bool Holds(Tensor x, Tensor q)
    {
        if (!(Deviation(q) <= Tolerance))
            return false;
        using var coefficients = Tensor.Empty(x.Device, (x.Dim(0), x.Dim(0)));
        using var outside = Tensor.Empty(x.Device, x.Shape);
        Gemm.Run(x, Gemm.Transposed(q), coefficients);
        outside.CopyFrom(x);
        Gemm.Run(coefficients, q, outside, -1, 1);
        return MatrixScan.Run(outside).FrobeniusNorm <= SpanTolerance(x.Dim(1)) * MatrixScan.Run(x).FrobeniusNorm;
    }

    private static bool Accepted(Tensor status, int step)
    {
        ReadOnlySpan<int> fields = status.ToInt32Array().AsSpan(step * Step.Ints, Step.Ints);
        return fields[Step.FirstPivot] == 0
            && fields[Step.SecondPivot] == 0
            && BitConverter.Int32BitsToSingle(fields[Step.Deviation]) <= FirstPassTolerance;
    }

    private static void Cholesky(Tensor x, Tensor q, Tensor status, int step, double shift, SmallProblems where)
    {
        int l = x.Dim(0);
        using var gram = Tensor.Empty(x.Device, (l, l), DType.F64);
        using var inverse = Tensor.Empty(x.Device, (l, l));
        using var once = Tensor.Empty(x.Device, x.Shape);
        using Tensor grams = gram.View((1, l, l));
        ulong At(int field) => status.Pointer + (ulong)((step * Step.Ints + field) * sizeof(int));
        Gram.Run(x, gram);
        CholeskyInverse.Run(grams, inverse, At(Step.FirstPivot), 0, shift, 0, where);
        Gemm.Run(inverse, x, once);
        Gram.Run(once, gram, At(Step.Deviation));
        CholeskyInverse.Run(grams, inverse, At(Step.SecondPivot), 0, 0, 0, where);
        Gemm.Run(inverse, once, q);
    }

    private static void CheckArguments(Tensor x, Tensor q)
    {
        Check.Operand(x, DType.F32, [-1, -1]);
        Check.SameAs(q, x);
        if (x.Dim(0) > x.Dim(1))
            throw new ArgumentException($"x is {x.Shape}, expected no more rows than columns", nameof(x));
    }

    /// <summary>Words of the status that one CholeskyQR2 leaves: three integers.</summary>
    private static class Step
    {
        public const int FirstPivot = 0;
        public const int SecondPivot = 1;
        public const int Deviation = 2;
        public const int Ints = 3;
    }
}
