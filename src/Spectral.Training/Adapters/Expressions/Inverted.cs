using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The inverses of matrices [b, n, n], n up to 256.</summary>
internal sealed class Inverted : Expression
{
    private readonly Expression _x;

    public Inverted(Expression x)
        : base(x.Shape, x) =>
        _x =
            x.Shape.Rank == 3 && x.Shape[1] == x.Shape[2] && x.Shape[1] <= MatrixInverse.MaxOrder
                ? x
                : throw new ArgumentException(
                    $"the inverse of {x.Shape}: expected a batch of square matrices of order up to "
                        + $"{MatrixInverse.MaxOrder}",
                    nameof(x)
                );

    protected override void Evaluate(Tensor value) => MatrixInverse.Forward(_x.Value, value);

    protected override void Backward(Tensor gradient)
    {
        if (_x.GradientBuffer(out bool adds) is { } dx)
            MatrixInverse.Backward(Value, gradient, dx, adds);
    }
}
