using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A value whose gradient goes to another expression, unchanged, as if it had that one's value.</summary>
internal sealed class StraightThrough : Expression
{
    private readonly Expression _value;
    private readonly Expression _through;

    public StraightThrough(Expression value, Expression through)
        : base(value.Shape, value, through)
    {
        if (value.Shape != through.Shape)
            throw new ArgumentException($"a gradient of {value.Shape} through {through.Shape}", nameof(through));
        (_value, _through, Trains) = (value, through, through.Trains);
    }

    protected override void Evaluate(Tensor value) => value.CopyFrom(_value.Value);

    protected override void Backward(Tensor gradient) => WeightedSum.Pass(gradient, 1, _through);
}
