using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The product h = x Rᵀ of activations [N, in] and a matrix R [p, in] of the adapter, in F32 whatever the compute type.
/// </summary>
internal sealed class ProjectNode : Node
{
    private readonly Expression _matrix;
    private readonly DropoutMask? _dropout;
    private readonly Node? _input;
    private readonly Tensor _x;

    private ProjectNode(Variable x, Expression matrix, DropoutMask? dropout)
    {
        (_input, _matrix, _dropout) = (x.Node, matrix, dropout);
        _x = Save(x.Value);
    }

    /// <summary>Computes the product.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The activations [N, in], in the compute type.</param>
    /// <param name="matrix">R [p, in].</param>
    /// <param name="dropout">The mask on x; null: none.</param>
    /// <returns>h [N, p] F32.</returns>
    public static Variable Apply(Tape tape, Variable x, Expression matrix, DropoutMask? dropout = null)
    {
        var h = Tensor.Empty(tape.Device, (x.Value.Dim(0), matrix.Shape[0]));
        using Tensor input = Dropped(x.Value, dropout);
        using Tensor right = Typed.As(matrix.Value, x.Value);
        Gemm.Run(input, Gemm.Transposed(right), h);
        bool records = tape.Records && (x.Node is not null || matrix.Trains);
        return new Variable(h, records ? tape.Record(new ProjectNode(x, matrix, dropout)) : null);
    }

    /// <summary>Adds the gradient of R, and that of x where it is needed.</summary>
    protected override void Backward(Tensor gradient)
    {
        using Tensor dh = Typed.As(gradient, _x);
        if (_matrix.GradientBuffer(out bool adds) is { } dMatrix)
        {
            using Tensor input = Dropped(_x, _dropout);
            Gemm.Run(Gemm.Transposed(dh), input, dMatrix, 1, adds ? 1 : 0);
        }

        if (_input is null)
            return;
        using Tensor right = Typed.As(_matrix.Value, _x);
        Tensor dx = _input.GradientBuffer(_x.Shape, _x, out bool accumulate);
        if (_dropout is null)
        {
            Gemm.Run(dh, right, dx, 1, accumulate ? 1 : 0);
            return;
        }
        using var whole = Tensor.Empty(_x.Device, _x.Shape, _x.DType);
        Gemm.Run(dh, right, whole);
        Dropout.Run(whole, dx, _dropout, accumulate: accumulate);
    }

    private static Tensor Dropped(Tensor x, DropoutMask? dropout)
    {
        if (dropout is null)
            return x.Share();
        var dropped = Tensor.Empty(x.Device, x.Shape, x.DType);
        Dropout.Run(x, dropped, dropout);
        return dropped;
    }
}
