using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>The sum y + s·g Lᵀ of a layer's output [N, out] and g [N, p] F32, with L [out, p] of the adapter.</summary>
internal sealed class WidenNode : Node
{
    private readonly Expression _matrix;
    private readonly float _scale;
    private readonly Node? _sum;
    private readonly Node? _middle;
    private readonly Tensor? _g;

    private WidenNode(Variable y, Variable g, Expression matrix, float scale)
    {
        (_sum, _middle, _matrix, _scale) = (y.Node, g.Node, matrix, scale);
        _g = matrix.Trains ? Save(g.Value) : null;
    }

    /// <summary>Adds the product to y, in whose memory the sum is.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="y">The output [N, out], which no other operation may read.</param>
    /// <param name="g">The middle [N, p] F32.</param>
    /// <param name="matrix">L [out, p].</param>
    /// <param name="scale">The factor s.</param>
    public static Variable Apply(Tape tape, Variable y, Variable g, Expression matrix, double scale)
    {
        using Tensor middle = Typed.As(g.Value, y.Value);
        using Tensor left = Typed.As(matrix.Value, y.Value);
        Gemm.Run(middle, Gemm.Transposed(left), y.Value, (float)scale, 1);
        bool records = tape.Records && (y.Node is not null || g.Node is not null || matrix.Trains);
        return new Variable(y.Value.Share(), records ? tape.Record(new WidenNode(y, g, matrix, (float)scale)) : null);
    }

    /// <summary>Adds the gradient of L and passes those of g and y on.</summary>
    protected override void Backward(Tensor gradient)
    {
        if (_g is not null && _matrix.GradientBuffer(out bool adds) is { } dMatrix)
        {
            using Tensor middle = Typed.As(_g, gradient);
            Gemm.Run(Gemm.Transposed(gradient), middle, dMatrix, _scale, adds ? 1 : 0);
        }

        if (_middle is not null)
        {
            using Tensor left = Typed.As(_matrix.Value, gradient);
            var dg = Tensor.Empty(gradient.Device, (gradient.Dim(0), _matrix.Shape[1]));
            Gemm.Run(gradient, left, dg, _scale);
            Deposit(_middle, dg);
        }
        _sum?.Accumulate(gradient.Share(), shared: true);
    }
}
