using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A value that is a constant for backward.</summary>
internal sealed class Detached : Expression
{
    private readonly Expression _x;

    public Detached(Expression x)
        : base(x.Shape, x) => (_x, Trains) = (x, false);

    protected override void Evaluate(Tensor value) => value.CopyFrom(_x.Value);

    protected override void Backward(Tensor gradient) { }
}
