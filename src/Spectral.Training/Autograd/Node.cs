using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// One recorded operation: the slot for the gradient of its output, what its backward needs, and that backward.
/// </summary>
/// <remarks>
/// To add a differentiable operation, derive one class: a static <c>Apply(tape, inputs…)</c> that computes the value
/// and, when <see cref="Tape.Records"/> and some input has a node or some parameter trains, records an instance; and
/// <see cref="Backward(Tensor)"/> beside it. Tensors handed to <see cref="Save(Tensor)"/> are released right after
/// backward has passed.
/// </remarks>
/// <example>
/// <code>
/// sealed class ScaleNode : Node
/// {
///     private readonly Node _input;
///     private readonly float _factor;
///
///     private ScaleNode(Node input, float factor) => (_input, _factor) = (input, factor);
///
///     public static Variable Apply(Tape tape, Variable x, float factor)
///     {
///         bool records = tape.Records &amp;&amp; x.Node is not null;
///         return new Variable(Scaled(x.Value, factor), records ? tape.Record(new ScaleNode(x.Node!, factor)) : null);
///     }
///
///     protected override void Backward(Tensor gradient) => Deposit(_input, Scaled(gradient, _factor));
///
///     private static Tensor Scaled(Tensor x, float factor)
///     {
///         Tensor y = Tensor.Empty(x.Device, x.Shape, x.DType);
///         y.CopyFrom(x);
///         Scale.Run(y, factor);
///         return y;
///     }
/// }
/// </code>
/// </example>
public abstract class Node
{
    private Tensor?[] _saved = []; // most nodes keep none, some a dozen
    private int _savedCount;
    private ColumnRange? _gradient;
    private bool _borrowed;

    /// <summary>The operation's name, for messages.</summary>
    public virtual string Name => GetType().Name.Replace("Node", "", StringComparison.Ordinal);

    /// <summary>True once some consumer has contributed to the gradient of this node's output.</summary>
    public bool HasGradient => _gradient is not null;

    /// <summary>Carries the gradient of the output on to the inputs' nodes and to trainable parameters.</summary>
    /// <param name="gradient">Gradient of the loss with respect to the output; same shape and type as the output. Not
    /// owned.</param>
    /// <exception cref="NotSupportedException">The operation has no adjoint.</exception>
    protected virtual void Backward(Tensor gradient) =>
        throw new NotSupportedException(
            $"The operation '{Name}' has no backward function; it cannot be part of a loss that trains "
                + "something below it."
        );

    /// <summary>
    /// As <see cref="Backward(Tensor)"/>, for a gradient that may be columns of a wider matrix; it is copied out of
    /// them unless the operation takes them.
    /// </summary>
    private protected virtual void Backward(ColumnRange gradient)
    {
        if (IsWhole(gradient))
        {
            Backward(gradient.Matrix);
            return;
        }
        using Tensor copy = gradient.Copy();
        Backward(copy);
    }

    /// <summary>
    /// Columns in which this output's gradient is best written, by a handle of their own; null: a tensor of its own is
    /// as good.
    /// </summary>
    private protected virtual ColumnRange? Place() => null;

    /// <summary>Keeps a counted handle on columns of a matrix until backward has passed this node.</summary>
    private protected ColumnRange Save(ColumnRange columns) => columns with { Matrix = Save(columns.Matrix) };

    /// <summary>Keeps a counted handle on a tensor until backward has passed this node.</summary>
    protected Tensor Save(Tensor tensor) => Own(tensor.Share());

    /// <summary>Takes over a handle and releases it when backward has passed this node.</summary>
    protected Tensor Own(Tensor tensor)
    {
        if (_savedCount == _saved.Length)
            Array.Resize(ref _saved, Math.Max(4, 2 * _savedCount));
        _saved[_savedCount++] = tensor;
        return tensor;
    }

    /// <summary>Adds a contribution to this node's gradient and takes over its handle.</summary>
    /// <param name="contribution">Same shape and type as the output.</param>
    /// <param name="shared">True when someone else holds the same memory, so that it must not be written.</param>
    public void Accumulate(Tensor contribution, bool shared = false)
    {
        if (_gradient is not { } held)
        {
            (_gradient, _borrowed) = (contribution, shared);
            return;
        }
        (Tensor gradient, bool borrowed) = (Whole(held), _borrowed && IsWhole(held));
        Tensor target = (borrowed, shared) switch
        {
            (false, _) => gradient,
            (_, false) => contribution,
            _ => Tensor.Empty(gradient.Device, gradient.Shape, gradient.DType),
        };
        Add.Forward(gradient, contribution, target);
        if (!ReferenceEquals(target, gradient))
            gradient.Dispose();
        if (!ReferenceEquals(target, contribution))
            contribution.Dispose();
        (_gradient, _borrowed) = (target, false);
    }

    /// <summary>
    /// As for a tensor, for columns of a matrix, whose handle is taken over: a first contribution stays where it is.
    /// </summary>
    internal void Accumulate(ColumnRange contribution, bool shared = false)
    {
        if (_gradient is null)
            (_gradient, _borrowed) = (contribution, shared);
        else
            Accumulate(Whole(contribution), shared && IsWhole(contribution));
    }

    /// <summary>Hands a freshly computed gradient to an input's node, or drops it where none is wanted.</summary>
    protected static void Deposit(Node? node, Tensor gradient)
    {
        if (node is null)
            gradient.Dispose();
        else
            node.Accumulate(gradient);
    }

    /// <summary>
    /// Where to write a fresh gradient [rows, columns] of an input, to be handed to
    /// <see cref="Deposit(Node, ColumnRange)"/> afterwards: in the columns
    /// that the input's producer wants it in, or else a new tensor.
    /// </summary>
    private protected static ColumnRange Place(Node? node, int rows, int columns, Tensor like) =>
        node is { _gradient: null } && node.Place() is { } place
            ? place
            : Tensor.Empty(like.Device, (rows, columns), like.DType);

    /// <summary>The columns that a node wants its gradient in, unless it has some already.</summary>
    private protected static ColumnRange? PlaceOf(Node? node) => node is { _gradient: null } ? node.Place() : null;

    /// <inheritdoc cref="Deposit(Node, Tensor)"/>
    private protected static void Deposit(Node? node, ColumnRange gradient)
    {
        if (node is null)
            gradient.Matrix.Dispose();
        else
            node.Accumulate(gradient);
    }

    /// <summary>The buffer an operation writes its contribution into, to save a separate addition.</summary>
    /// <param name="shape">The gradient's shape.</param>
    /// <param name="like">A tensor of its device and type.</param>
    /// <param name="accumulate">True when the buffer already holds contributions, to which the operation must
    /// add.</param>
    public Tensor GradientBuffer(Shape shape, Tensor like, out bool accumulate)
    {
        accumulate = _gradient is not null;
        if (_gradient is { } held && !_borrowed && IsWhole(held))
            return held.Matrix;
        var buffer = Tensor.Empty(like.Device, shape, like.DType);
        if (_gradient is { } given)
        {
            if (IsWhole(given))
                buffer.CopyFrom(given.Matrix);
            else
                CopyBlock.Run(given, buffer, 0, 0);
            given.Matrix.Dispose();
        }
        (_gradient, _borrowed) = (buffer, false);
        return buffer;
    }

    /// <summary>
    /// Takes the gradient collected so far out of the slot; the caller owns it. Null when there is none.
    /// </summary>
    public Tensor? TakeGradient() => TakeColumns() is { } taken ? Whole(taken) : null;

    /// <summary>As <see cref="TakeGradient"/>, left in the columns it was written in.</summary>
    internal ColumnRange? TakeColumns()
    {
        ColumnRange? taken = _gradient;
        _gradient = null;
        return taken;
    }

    internal void Run()
    {
        try
        {
            Pass();
        }
        finally
        {
            Release();
        }
    }

    /// <summary>
    /// Runs backward if there is anything to carry on; an operation of several outputs has slots of their own for them.
    /// </summary>
    private protected virtual void Pass()
    {
        if (_gradient is { } gradient)
            Backward(gradient);
    }

    internal void Release()
    {
        _gradient?.Matrix.Dispose();
        _gradient = null;
        while (_savedCount > 0)
            _saved[--_savedCount]?.Dispose();
    }

    private static bool IsWhole(in ColumnRange columns) =>
        columns.Matrix.Shape.Rank != 2 || columns.Count == columns.Stride;

    /// <summary>The values as a tensor of their own, for which the handle is given up.</summary>
    private static Tensor Whole(in ColumnRange columns)
    {
        if (IsWhole(columns))
            return columns.Matrix;
        using (columns.Matrix)
            return columns.Copy();
    }
}
