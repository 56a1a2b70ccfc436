using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>A value on the tape: a counted handle on a tensor and, where a gradient is wanted, the <see cref="Node"/> that receives it.</summary>
/// <remarks>
/// Whoever holds a variable disposes it as soon as no further forward step reads it; what backward needs is kept by the nodes, through
/// handles of their own. A variable without a node is a constant: no gradient is ever computed for it.
/// </remarks>
public sealed class Variable : IDisposable
{
    /// <summary>Wraps a value; the variable owns the handle from now on.</summary>
    public Variable(Tensor value, Node? node = null)
    {
        Value = value;
        Node = node;
    }

    /// <summary>The value, in the model's compute type.</summary>
    public Tensor Value { get; }

    /// <summary>Where the gradient with respect to this value goes; null when nothing below it trains.</summary>
    public Node? Node { get; }

    /// <summary>Releases this handle on the value. The memory lives on as long as a node has saved it.</summary>
    public void Dispose() => Value.Dispose();
}
