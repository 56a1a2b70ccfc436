using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// A recorded operation: the gradient of its output, the values that its backward needs, and the backward itself.
/// </summary>
/// <remarks>
/// To add a differentiable operation, derive a class. Give it a static <c>Apply(tape, inputs…)</c> that computes the
/// value and, if <see cref="Tape.Records"/> and some input has a node or some parameter trains, records an instance;
/// and override <see cref="Backward(Tensor)"/>. Tensors passed to <see cref="Save(Tensor)"/> are released right after
/// backward has passed the node.
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
    private Tensor?[] _saved = []; // most nodes save none, a few a dozen
    private int _savedCount;
    private ColumnRange? _gradient;
    private bool _borrowed;

    /// <summary>The operation's name, for messages.</summary>
    public virtual string Name => GetType().Name.Replace("Node", "", StringComparison.Ordinal);

    /// <summary>Whether the gradient of this node's output has received a contribution.</summary>
    public bool HasGradient => _gradient is not null;

    /// <summary>Passes the gradient of the output on to the inputs' nodes and to trainable parameters.</summary>
    /// <param name="gradient">
    /// The gradient of the loss with respect to the output, with the same shape and type as the output. Not owned.
    /// </param>
    /// <exception cref="NotSupportedException">The operation has no backward function.</exception>
    protected virtual void Backward(Tensor gradient) =>
        throw new NotSupportedException(
            $"The operation '{Name}' has no backward function; it cannot be part of a loss that trains "
                + "something below it."
        );

    /// <summary>
    /// Does the same as <see cref="Backward(Tensor)"/> for a gradient that may be columns of a wider matrix. By default
    /// it copies them first; operations that can read columns override this.
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
    /// Returns columns, by a handle of their own, in which this output's gradient is best written; null if any tensor
    /// is as good.
    /// </summary>
    private protected virtual ColumnRange? Place() => null;

    /// <summary>Keeps a counted handle on columns of a matrix until backward has passed this node.</summary>
    private protected ColumnRange Save(ColumnRange columns) => columns with { Matrix = Save(columns.Matrix) };

    /// <summary>Keeps a counted handle on a tensor until backward has passed this node.</summary>
    protected Tensor Save(Tensor tensor) => Own(tensor.Share());

    /// <summary>
    /// Keeps what backward needs of the input of linear layers: all of it, or the rows that the tape's sampling draws.
    /// </summary>
    /// <param name="tape">The tape that records the operation.</param>
    /// <param name="x">The input [N, in].</param>
    /// <param name="stream">The random stream of the layers.</param>
    private protected (Tensor X, RowSample? Sample) SaveInput(Tape tape, Tensor x, uint stream)
    {
        if (tape.Sampling?.Draw(x, stream) is not { } sample)
            return (Save(x), null);
        Own(sample.Index);
        return (Own(sample.Input), sample);
    }

    /// <summary>Takes ownership of a tensor and releases it when backward has passed this node.</summary>
    protected Tensor Own(Tensor tensor)
    {
        if (_savedCount == _saved.Length)
            Array.Resize(ref _saved, Math.Max(4, 2 * _savedCount));
        _saved[_savedCount++] = tensor;
        return tensor;
    }

    /// <summary>Adds a contribution to this node's gradient and takes ownership of its handle.</summary>
    /// <param name="contribution">The contribution, with the same shape and type as the output.</param>
    /// <param name="shared">Whether someone else holds the same memory, so that it must not be written.</param>
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
    /// Adds a contribution in columns of a matrix and takes ownership of the handle. The first contribution stays where
    /// it is.
    /// </summary>
    internal void Accumulate(ColumnRange contribution, bool shared = false)
    {
        if (_gradient is null)
            (_gradient, _borrowed) = (contribution, shared);
        else
            Accumulate(Whole(contribution), shared && IsWhole(contribution));
    }

    /// <summary>Passes a new gradient to an input's node, or disposes it if there is none.</summary>
    protected static void Deposit(Node? node, Tensor gradient)
    {
        if (node is null)
            gradient.Dispose();
        else
            node.Accumulate(gradient);
    }

    /// <summary>
    /// Returns the place for a new gradient [rows, columns] of an input, to be passed to
    /// <see cref="Deposit(Node, ColumnRange)"/> afterwards: the columns that the input's producer prefers, otherwise a
    /// new tensor.
    /// </summary>
    private protected static ColumnRange Place(Node? node, int rows, int columns, Tensor like) =>
        node is { _gradient: null } && node.Place() is { } place
            ? place
            : Tensor.Empty(like.Device, (rows, columns), like.DType);

    /// <summary>Returns the columns that a node prefers for its gradient, unless it already has one.</summary>
    private protected static ColumnRange? PlaceOf(Node? node) => node is { _gradient: null } ? node.Place() : null;

    /// <inheritdoc cref="Deposit(Node, Tensor)"/>
    private protected static void Deposit(Node? node, ColumnRange gradient)
    {
        if (node is null)
            gradient.Matrix.Dispose();
        else
            node.Accumulate(gradient);
    }

    /// <summary>
    /// Returns the buffer into which an operation writes its contribution, to save a separate addition.
    /// </summary>
    /// <param name="shape">The shape of the gradient.</param>
    /// <param name="like">A tensor on its device and of its type.</param>
    /// <param name="accumulate">
    /// Whether the buffer already holds contributions, to which the operation has to add.
    /// </param>
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

    /// <summary>Takes the gradient collected so far. The caller owns it. Null if there is none.</summary>
    public Tensor? TakeGradient() => TakeColumns() is { } taken ? Whole(taken) : null;

    /// <summary>
    /// Takes the gradient like <see cref="TakeGradient"/>, but leaves it in the columns where it was written.
    /// </summary>
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
    /// Runs backward if there is a gradient. Operations with several outputs override this and have a node for each
    /// output.
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

    /// <summary>Returns the values as a tensor of their own and gives up the handle.</summary>
    private static Tensor Whole(in ColumnRange columns)
    {
        if (IsWhole(columns))
            return columns.Matrix;
        using (columns.Matrix)
            return columns.Copy();
    }
}
