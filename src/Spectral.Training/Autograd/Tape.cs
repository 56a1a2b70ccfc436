using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Training.Autograd;

/// <summary>Records operations during forward and replays their adjoints in reverse.</summary>
/// <remarks>
/// One tape serves one forward and one backward pass of one micro-batch. Gradients of trainable parameters are added to
/// <see cref="Parameter.Gradient"/>, so several tapes in a row accumulate. Not thread-safe.
/// </remarks>
public sealed class Tape : IDisposable
{
    private readonly List<Node> _nodes = [];

    /// <summary>Creates a tape.</summary>
    /// <param name="device">The device all values live on.</param>
    /// <param name="records">False for inference: nothing is recorded and nothing is saved.</param>
    /// <param name="dropout">Holds the position of dropout's random numbers; null: nothing is dropped.</param>
    public Tape(Device device, bool records = true, StepState? dropout = null)
    {
        Device = device;
        Records = records;
        Dropout = dropout;
    }

    /// <summary>The device all values live on.</summary>
    public Device Device { get; }

    /// <summary>Whether operations are recorded for backward.</summary>
    public bool Records { get; }

    /// <summary>
    /// Where dropout's random numbers are at, the same in forward and backward; null: nothing is dropped.
    /// </summary>
    public StepState? Dropout { get; }

    /// <summary>Number of operations recorded and not yet passed by backward.</summary>
    public int Count => _nodes.Count;

    /// <summary>Appends an operation and returns it. Inputs must have been recorded before.</summary>
    public T Record<T>(T node)
        where T : Node
    {
        _nodes.Add(node);
        return node;
    }

    /// <summary>
    /// Passes every gradient deposited so far (by a loss, or by <see cref="Node.Accumulate(Tensor, bool)"/>) back
    /// through the recorded operations. Saved values and intermediate gradients are released as soon as they have been
    /// used; afterwards the tape is empty.
    /// </summary>
    /// <param name="until">Number of operations to leave unpassed at the start of the tape; their gradients stay to be
    /// taken.</param>
    /// <exception cref="NotSupportedException">An operation on the way has no adjoint; the message names
    /// it.</exception>
    public void Backward(int until = 0)
    {
        for (int i = _nodes.Count - 1; i >= until; i--)
        {
            Node node = _nodes[i];
            _nodes.RemoveAt(i);
            node.Run();
        }
    }

    /// <summary>Releases whatever backward has not passed.</summary>
    public void Dispose()
    {
        foreach (Node node in _nodes)
            node.Release();
        _nodes.Clear();
    }
}
