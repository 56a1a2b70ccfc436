using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>The product y = f x of a value and a constant number.</summary>
internal sealed class ScaleNode : Node
{
    private readonly Node _input;
    private readonly float _factor;

    private ScaleNode(Node input, float factor) => (_input, _factor) = (input, factor);

    /// <summary>Multiplies a value, of which it takes ownership, by a number; 1 leaves it as it is.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The value, of any shape.</param>
    /// <param name="factor">The number f.</param>
    public static Variable Apply(Tape tape, Variable x, float factor)
    {
        if (factor == 1)
            return x;
        using (x)
        {
            bool records = tape.Records && x.Node is not null;
            return new Variable(Scaled(x.Value, factor), records ? tape.Record(new ScaleNode(x.Node!, factor)) : null);
        }
    }

    /// <summary>Passes f dy on.</summary>
    protected override void Backward(Tensor gradient) => Deposit(_input, Scaled(gradient, _factor));

    private static Tensor Scaled(Tensor x, float factor)
    {
        var y = Tensor.Empty(x.Device, x.Shape, x.DType);
        y.CopyFrom(x);
        Scale.Run(y, factor);
        return y;
    }
}
