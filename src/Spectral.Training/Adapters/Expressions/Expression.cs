using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// An F32 tensor in an adapter's form: a stored factor, or a value computed from factors. Its value changes once per
/// optimizer step, however many tokens there are. A method states only the value; the gradients follow.
/// </summary>
/// <remarks>
/// To add an operation, derive a class that passes its inputs to the base constructor and implements
/// <see cref="Evaluate"/> and <see cref="Backward"/>. An expression has a shape from the start, but a value only once
/// factors have memory: describing an adapter allocates nothing on a device.
/// </remarks>
public abstract class Expression
{
    private readonly Expression[] _inputs;
    private Tensor? _value;
    private Tensor? _gradient;
    private bool _isStale = true;

    /// <summary>Creates an expression of a shape, computed from others.</summary>
    protected Expression(Shape shape, params Expression[] inputs)
    {
        (Shape, _inputs) = (shape, inputs);
        Trains = Array.Exists(inputs, input => input.Trains);
        Varies = Array.Exists(inputs, input => input.Varies);
    }

    /// <summary>The shape of the value.</summary>
    public Shape Shape { get; }

    /// <summary>Whether backward computes its gradient, because it depends on a trainable factor.</summary>
    public bool Trains { get; private protected init; }

    /// <summary>Whether the value changes from step to step, even if no gradient is needed.</summary>
    internal bool Varies { get; private protected init; }

    /// <summary>
    /// The value, F32 of <see cref="Shape"/>, computed on first use. The caller must neither dispose nor keep it.
    /// </summary>
    public Tensor Value => _isStale ? Compute() : _value!;

    internal IReadOnlyList<Expression> Inputs => _inputs;

    /// <summary>Whether the value is stored elsewhere and must not be disposed.</summary>
    internal virtual bool IsStored => false;

    /// <summary>The device of the value.</summary>
    private protected virtual Device Device => _inputs[0].Device;

    /// <summary>Computes the value from the inputs' values.</summary>
    /// <param name="value">F32 of <see cref="Shape"/>; to be overwritten.</param>
    protected abstract void Evaluate(Tensor value);

    /// <summary>
    /// Adds to the gradients of those inputs that train, by way of their <see cref="GradientBuffer"/>.
    /// </summary>
    /// <param name="gradient">The gradient with respect to the value.</param>
    protected abstract void Backward(Tensor gradient);

    /// <summary>
    /// Returns the buffer for a contribution to this value's gradient; null if the value depends on no trainable
    /// factor.
    /// </summary>
    /// <param name="accumulate">
    /// Whether the buffer already holds contributions, to which the new one is to be added. Otherwise it is to be
    /// overwritten.
    /// </param>
    public virtual Tensor? GradientBuffer(out bool accumulate)
    {
        accumulate = _gradient is not null;
        return Trains ? _gradient ??= Tensor.Empty(Device, Shape) : null;
    }

    /// <summary>Passes the gradient contributions received since the last call on to the inputs.</summary>
    internal void Propagate()
    {
        if (_gradient is null)
            return;
        Backward(_gradient);
        _gradient.Dispose();
        _gradient = null;
    }

    /// <summary>
    /// Marks the value as stale, so that the next read recomputes it. It stays in the same memory, where a captured
    /// step's graph reads it.
    /// </summary>
    internal void Renew() => _isStale = true;

    /// <summary>Disposes the value. The next read recomputes it.</summary>
    internal virtual void Forget()
    {
        _value?.Dispose();
        (_value, _isStale) = (null, true);
    }

    /// <summary>Disposes everything, including what does not change with the factors.</summary>
    internal virtual void Release() => Forget();

    private protected virtual Tensor Compute()
    {
        _value ??= Tensor.Empty(Device, Shape);
        Evaluate(_value);
        _isStale = false;
        return _value;
    }
}
