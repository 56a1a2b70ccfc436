using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// A low-rank change of a layer's output by the output itself, for tokens that gates choose: y += π L (R y + b).
/// </summary>
/// <param name="left">L [out, r].</param>
/// <param name="right">R [r, out].</param>
/// <param name="shift">b [r].</param>
/// <param name="gate">Computes π, one number for each token.</param>
internal sealed class OutputEdit(Expression left, Expression right, Expression shift, Gates gate) : TokenChange
{
    /// <inheritdoc/>
    public override IEnumerable<Expression> Expressions => [left, right, shift, .. gate.Expressions];

    /// <inheritdoc/>
    public override long Flops(int outputs, int inputs) => (4L * right.Shape[0] * outputs) + gate.Flops(inputs);

    /// <inheritdoc/>
    public override void Check(string module, int outputs, int inputs)
    {
        Require(module, left, outputs, right.Shape[0]);
        Require(module, right, left.Shape[1], outputs);
        if (shift.Shape.Count != right.Shape[0] || gate.Experts != 1)
            throw new InvalidOperationException($"{module}: an edit of rank {right.Shape[0]} by {shift.Shape}");
    }

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x, Variable y)
    {
        using Variable before = y;
        using Variable chosen = gate.Apply(pass, x);
        using Variable projected = ProjectNode.Apply(pass.Tape, before, right);
        using Variable shifted = ShiftNode.Apply(pass.Tape, projected, shift);
        using Variable g = GateNode.Apply(pass.Tape, shifted, chosen);
        // Backward reads the output as it was.
        var copy = Tensor.Empty(y.Value.Device, y.Value.Shape, y.Value.DType);
        copy.CopyFrom(y.Value);
        using var sum = new Variable(copy, y.Node);
        return WidenNode.Apply(pass.Tape, sum, g, left, 1);
    }
}
