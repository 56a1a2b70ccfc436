using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>The value y = tanh(x) of any shape, of the pooler of an encoder.</summary>
internal sealed class TanhNode : Node
{
    private readonly Node _input;
    private readonly Tensor _y;

    private TanhNode(Node input, Tensor y)
    {
        _input = input;
        _y = Save(y);
    }

    /// <summary>Computes tanh of every element, in F32 whatever the type of x.</summary>
    public static Variable Apply(Tape tape, Variable x)
    {
        // A soft cap c · tanh(x / c) with c = 1.
        using var wide = Tensor.Empty(tape.Device, x.Value.Shape);
        Cast.Run(x.Value, wide);
        SoftCap.Forward(wide, wide, 1);
        var y = Tensor.Empty(tape.Device, x.Value.Shape, x.Value.DType);
        Cast.Run(wide, y);
        return new Variable(y, tape.Records && x.Node is { } input ? tape.Record(new TanhNode(input, wide)) : null);
    }

    /// <summary>Computes dx = dy (1 − y²).</summary>
    protected override void Backward(Tensor gradient)
    {
        var dx = Tensor.Empty(gradient.Device, gradient.Shape, gradient.DType);
        SoftCap.Backward(_y, gradient, dx, 1);
        Deposit(_input, dx);
    }
}
