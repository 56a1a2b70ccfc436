using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The same elements in another shape: a view of their memory.</summary>
internal sealed class Reshaped : Expression
{
    private readonly Expression _x;
    private Tensor? _view;

    public Reshaped(Expression x, Shape shape)
        : base(shape, x) =>
        _x =
            x.Shape.Count == shape.Count
                ? x
                : throw new ArgumentException($"{x.Shape} in the shape {shape}", nameof(shape));

    internal override void Forget()
    {
        _view?.Dispose();
        _view = null;
    }

    // Each read goes through x, which recomputes its value in the same memory if necessary. When x releases that
    // memory, this view is released with it.
    private protected override Tensor Compute()
    {
        Tensor source = _x.Value;
        return _view ??= source.View(Shape);
    }

    protected override void Evaluate(Tensor value) => value.CopyFrom(_x.Value);

    protected override void Backward(Tensor gradient) => WeightedSum.Pass(gradient, 1, _x);
}
