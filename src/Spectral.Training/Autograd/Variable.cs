using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// A value on the tape: a counted handle on a tensor and, where a gradient is wanted, the <see cref="Node"/> that
/// receives it.
/// </summary>
/// <remarks>
/// Whoever holds a variable disposes it as soon as no further forward step reads it; what backward needs is kept by the
/// nodes, through handles of their own. A variable without a node is a constant: no gradient is ever computed for it.
/// </remarks>
public sealed class Variable : IDisposable
{
    private readonly ColumnRange _columns;
    private readonly bool _whole;

    /// <summary>Wraps a value; the variable owns the handle from now on.</summary>
    public Variable(Tensor value, Node? node = null) => (_columns, Node, _whole) = (value, node, true);

    /// <summary>Wraps columns of a matrix; the variable owns that handle on it.</summary>
    internal Variable(ColumnRange columns, Node? node = null) =>
        (_columns, Node, _whole) = (columns, node, columns.Count == columns.Stride);

    /// <summary>The value, in the model's compute type.</summary>
    /// <exception cref="InvalidOperationException">It is columns of a wider matrix, which only operations inside a
    /// layer hand to one another.</exception>
    public Tensor Value =>
        _whole
            ? _columns.Matrix
            : throw new InvalidOperationException(
                $"the value is {_columns.Count} columns of {_columns.Matrix.Shape}; this operation takes whole matrices"
            );

    /// <summary>The value as columns of a matrix, all of its own as a rule.</summary>
    internal ColumnRange Columns => _columns;

    /// <summary>Where the gradient with respect to this value goes; null when nothing below it trains.</summary>
    public Node? Node { get; }

    /// <summary>Releases this handle on the value. The memory lives on as long as a node has saved it.</summary>
    public void Dispose() => _columns.Matrix.Dispose();
}
