using System.Runtime.CompilerServices;
using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>One recorded operation: the slot for the gradient of its output, what its backward needs, and that backward.</summary>
/// <remarks>
/// To add a differentiable operation, derive one class: a static <c>Apply(tape, inputs…)</c> that computes the value and, when
/// <see cref="Tape.Records"/> and some input has a node or some parameter trains, records an instance; and <see cref="Backward"/> beside it.
/// Tensors handed to <see cref="Save"/> are released right after backward has passed.
/// </remarks>
public abstract class Node
{
    private SavedTensors _saved;
    private int _savedCount;
    private Tensor? _gradient;
    private bool _borrowed;

    /// <summary>The operation's name, for messages.</summary>
    public virtual string Name => GetType().Name.Replace("Node", "", StringComparison.Ordinal);

    /// <summary>True once some consumer has contributed to the gradient of this node's output.</summary>
    public bool HasGradient => _gradient is not null;

    /// <summary>Carries the gradient of the output on to the inputs' nodes and to trainable parameters.</summary>
    /// <param name="gradient">Gradient of the loss with respect to the output; same shape and type as the output. Not owned.</param>
    /// <exception cref="NotSupportedException">The operation has no adjoint.</exception>
    protected virtual void Backward(Tensor gradient) =>
        throw new NotSupportedException($"The operation '{Name}' has no backward function; it cannot be part of a loss that trains something below it.");

    /// <summary>Keeps a counted handle on a tensor until backward has passed this node.</summary>
    protected Tensor Save(Tensor tensor) => Own(tensor.Share());

    /// <summary>Takes over a handle and releases it when backward has passed this node.</summary>
    protected Tensor Own(Tensor tensor)
    {
        _saved[_savedCount++] = tensor;
        return tensor;
    }

    /// <summary>Adds a contribution to this node's gradient and takes over its handle.</summary>
    /// <param name="contribution">Same shape and type as the output.</param>
    /// <param name="shared">True when someone else holds the same memory, so that it must not be written.</param>
    public void Accumulate(Tensor contribution, bool shared = false)
    {
        if (_gradient is null)
        {
            (_gradient, _borrowed) = (contribution, shared);
            return;
        }
        var target = !_borrowed ? _gradient : !shared ? contribution : Tensor.Empty(_gradient.Device, _gradient.Shape, _gradient.DType);
        Add.Forward(_gradient, contribution, target);
        if (!ReferenceEquals(target, _gradient))
            _gradient.Dispose();
        if (!ReferenceEquals(target, contribution))
            contribution.Dispose();
        (_gradient, _borrowed) = (target, false);
    }

    /// <summary>Hands a freshly computed gradient to an input's node, or drops it where none is wanted.</summary>
    protected static void Deposit(Node? node, Tensor gradient)
    {
        if (node is null)
            gradient.Dispose();
        else
            node.Accumulate(gradient);
    }

    /// <summary>The buffer an operation writes its contribution into, to save a separate addition.</summary>
    /// <param name="shape">The gradient's shape.</param>
    /// <param name="like">A tensor of its device and type.</param>
    /// <param name="accumulate">True when the buffer already holds contributions, to which the operation must add.</param>
    public Tensor GradientBuffer(Shape shape, Tensor like, out bool accumulate)
    {
        accumulate = _gradient is not null;
        if (_gradient is null || _borrowed)
        {
            var buffer = Tensor.Empty(like.Device, shape, like.DType);
            if (_gradient is not null)
            {
                buffer.CopyFrom(_gradient);
                _gradient.Dispose();
            }
            (_gradient, _borrowed) = (buffer, false);
        }
        return _gradient;
    }

    /// <summary>Takes the gradient collected so far out of the slot; the caller owns it. Null when there is none.</summary>
    public Tensor? TakeGradient()
    {
        var taken = _gradient;
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

    /// <summary>Runs backward if there is anything to carry on; an operation of several outputs has slots of their own for them.</summary>
    private protected virtual void Pass()
    {
        if (_gradient is not null)
            Backward(_gradient);
    }

    internal void Release()
    {
        _gradient?.Dispose();
        _gradient = null;
        while (_savedCount > 0)
            _saved[--_savedCount]?.Dispose();
    }

    [InlineArray(16)]
    private struct SavedTensors   // q, k and v with each an input scale, an output scale and a gradient of their own take 13
    {
        private Tensor? _first;
    }
}

/// <summary>Receives the gradient of a value that nothing on this tape produced; its gradient is taken by whoever made it.</summary>
internal sealed class LeafNode : Node
{
    protected override void Backward(Tensor gradient)
    {
    }
}
