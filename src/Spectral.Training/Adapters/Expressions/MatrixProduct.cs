using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The product s·op(a)·op(b), op transposing or not, of matrices [m, n] or of batches [b, m, n] of them.
/// </summary>
internal sealed class MatrixProduct : Expression
{
    private readonly Expression _a;
    private readonly Expression _b;
    private readonly bool _transposeA;
    private readonly bool _transposeB;
    private readonly float _scale;

    public MatrixProduct(Expression a, bool transposeA, Expression b, bool transposeB, double scale)
        : base(Product(a.Shape, transposeA, b.Shape, transposeB), a, b) =>
        (_a, _transposeA, _b, _transposeB, _scale) = (a, transposeA, b, transposeB, (float)scale);

    protected override void Evaluate(Tensor value) =>
        Multiply(_a.Value, _transposeA, _b.Value, _transposeB, value, false);

    protected override void Backward(Tensor gradient)
    {
        if (_a.GradientBuffer(out bool adds) is { } da)
        {
            if (_transposeA)
                Multiply(_b.Value, _transposeB, gradient, true, da, adds);
            else
                Multiply(gradient, false, _b.Value, !_transposeB, da, adds);
        }
        if (_b.GradientBuffer(out adds) is { } db)
        {
            if (_transposeB)
                Multiply(gradient, true, _a.Value, _transposeA, db, adds);
            else
                Multiply(_a.Value, !_transposeA, gradient, false, db, adds);
        }
    }

    private void Multiply(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, bool adds)
    {
        int rank = c.Shape.Rank;
        (int m, int n, int k) = (c.Dim(rank - 2), c.Dim(rank - 1), a.Dim(transposeA ? rank - 2 : rank - 1));
        Gemm.Run(
            Matrices(a) with
            {
                Transposed = transposeA,
            },
            Matrices(b) with
            {
                Transposed = transposeB,
            },
            Matrices(c),
            new GemmSize(m, n, k, rank == 3 ? c.Dim(0) : 1),
            _scale,
            adds ? 1 : 0
        );
    }

    private static GemmOperand Matrices(Tensor x)
    {
        int rank = x.Shape.Rank;
        return new(x, 0, x.Dim(rank - 1), (long)x.Dim(rank - 2) * x.Dim(rank - 1));
    }

    private static Shape Product(Shape a, bool transposeA, Shape b, bool transposeB)
    {
        int rank = a.Rank;
        if (
            rank is not (2 or 3)
            || b.Rank != rank
            || (rank == 3 && a[0] != b[0])
            || a[transposeA ? rank - 2 : rank - 1] != b[transposeB ? rank - 1 : rank - 2]
        )
        {
            throw new ArgumentException(
                $"a product of {a}{(transposeA ? " transposed" : "")} and {b}{(transposeB ? " transposed" : "")}",
                nameof(b)
            );
        }

        (int m, int n) = (a[transposeA ? rank - 1 : rank - 2], b[transposeB ? rank - 2 : rank - 1]);
        return rank == 2 ? (m, n) : (a[0], m, n);
    }
}
