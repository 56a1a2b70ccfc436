using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// An F32 tensor in an adapter's form: a stored factor, or what is computed from factors. Expressions stand for values
/// that change once per optimizer step, whatever the number of tokens; a method states what it computes, and its
/// gradients follow.
/// </summary>
/// <remarks>
/// To add an operation, derive one class that hands its inputs to the base and implements <see cref="Evaluate"/> and
/// <see cref="Backward"/>. Expressions have shapes from the start, values only once factors are bound to memory:
/// describing an adapter allocates nothing on a device.
/// </remarks>
public abstract class Expression
{
    private readonly Expression[] _inputs;
    private Tensor? _value;
    private Tensor? _gradient;
    private bool _isStale = true;

    /// <summary>An expression of some shape, computed from others.</summary>
    protected Expression(Shape shape, params Expression[] inputs)
    {
        (Shape, _inputs) = (shape, inputs);
        Trains = Array.Exists(inputs, input => input.Trains);
        Varies = Array.Exists(inputs, input => input.Varies);
    }

    /// <summary>The value's shape.</summary>
    public Shape Shape { get; }

    /// <summary>Whether a gradient with respect to it is wanted: a trainable factor is in it.</summary>
    public bool Trains { get; private protected init; }

    /// <summary>Whether it changes from step to step, also where no gradient is wanted.</summary>
    internal bool Varies { get; private protected init; }

    /// <summary>F32 of <see cref="Shape"/>, computed on first use; not the caller's to dispose or to keep.</summary>
    public Tensor Value => _isStale ? Compute() : _value!;

    internal IReadOnlyList<Expression> Inputs => _inputs;

    /// <summary>Whether the value is stored elsewhere and must not be let go of.</summary>
    internal virtual bool IsStored => false;

    /// <summary>Where this value lives.</summary>
    private protected virtual Device Device => _inputs[0].Device;

    /// <summary>Computes the value from the inputs' values.</summary>
    /// <param name="value">F32 of <see cref="Shape"/>; to be overwritten.</param>
    protected abstract void Evaluate(Tensor value);

    /// <summary>Adds to the gradients of those inputs that train, through their <see cref="GradientBuffer"/>.</summary>
    /// <param name="gradient">Gradient with respect to the value.</param>
    protected abstract void Backward(Tensor gradient);

    /// <summary>Where to write a contribution to this value's gradient; null when nothing in it trains.</summary>
    /// <param name="accumulate">True when the buffer holds contributions already, to which the new one is to be
    /// added.</param>
    public virtual Tensor? GradientBuffer(out bool accumulate)
    {
        accumulate = _gradient is not null;
        return Trains ? _gradient ??= Tensor.Empty(Device, Shape) : null;
    }

    /// <summary>Passes on what has come in since the last time.</summary>
    internal void Propagate()
    {
        if (_gradient is null)
            return;
        Backward(_gradient);
        _gradient.Dispose();
        _gradient = null;
    }

    /// <summary>
    /// Has the value computed anew when it is next read: into the same memory, as a captured step's graph goes on
    /// reading it there.
    /// </summary>
    internal void Renew() => _isStale = true;

    /// <summary>Lets go of the value, which is computed anew when it is next read.</summary>
    internal virtual void Forget()
    {
        _value?.Dispose();
        (_value, _isStale) = (null, true);
    }

    /// <summary>Lets go of everything, also of what does not change with the factors.</summary>
    internal virtual void Release() => Forget();

    private protected virtual Tensor Compute()
    {
        _value ??= Tensor.Empty(Device, Shape);
        Evaluate(_value);
        _isStale = false;
        return _value;
    }
}
