using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// A value on the tape: a handle on a tensor and, if a gradient is needed, the <see cref="Node"/> that receives it.
/// </summary>
/// <remarks>
/// Dispose a variable as soon as no later forward step reads it. Values that backward needs are kept by the nodes
/// through handles of their own. A variable without a node is a constant, for which no gradient is computed.
/// </remarks>
public sealed class Variable : IDisposable
{
    private readonly ColumnRange _columns;
    private readonly bool _whole;

    /// <summary>Wraps a tensor, which the variable then owns.</summary>
    /// <param name="value">The tensor to wrap.</param>
    /// <param name="node">The node that receives its gradient; null for a constant.</param>
    public Variable(Tensor value, Node? node = null) => (_columns, Node, _whole) = (value, node, true);

    /// <summary>Wraps columns of a matrix, whose handle the variable then owns.</summary>
    internal Variable(ColumnRange columns, Node? node = null) =>
        (_columns, Node, _whole) = (columns, node, columns.Count == columns.Stride);

    /// <summary>The value, in the model's compute type.</summary>
    /// <exception cref="InvalidOperationException">
    /// The value is columns of a wider matrix, as operations inside a layer pass them to each other.
    /// </exception>
    public Tensor Value =>
        _whole
            ? _columns.Matrix
            : throw new InvalidOperationException(
                $"the value is {_columns.Count} columns of {_columns.Matrix.Shape}; this operation takes whole matrices"
            );

    /// <summary>The value as columns of a matrix, usually all of it.</summary>
    internal ColumnRange Columns => _columns;

    /// <summary>The node that receives the gradient of this value; null if nothing below it trains.</summary>
    public Node? Node { get; }

    /// <summary>Releases this handle on the value. The memory is kept while a node has saved it.</summary>
    public void Dispose() => _columns.Matrix.Dispose();
}
