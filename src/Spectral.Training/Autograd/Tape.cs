using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Training.Autograd;

/// <summary>Records operations during forward and runs their backward functions in reverse order.</summary>
/// <remarks>
/// A tape serves one forward and one backward pass of one micro-batch. Gradients of trainable parameters are added to
/// <see cref="Parameter.Gradient"/>, so that several tapes in a row accumulate. Not thread-safe.
/// </remarks>
public sealed class Tape : IDisposable
{
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<int, int> _segments = []; // how often each is still to be passed

    /// <summary>Creates an empty tape for one forward pass.</summary>
    /// <param name="device">The device of all values.</param>
    /// <param name="records">Whether to record. Without recording, as in inference, nothing is saved.</param>
    /// <param name="dropout">The step state with the position of dropout's random numbers; null: no dropout.</param>
    public Tape(Device device, bool records = true, StepState? dropout = null)
    {
        Device = device;
        Records = records;
        Dropout = dropout;
    }

    /// <summary>The device of all values.</summary>
    public Device Device { get; }

    /// <summary>Whether operations are recorded for backward.</summary>
    public bool Records { get; }

    /// <summary>
    /// The step state with the position of dropout's random numbers, which is the same in forward and backward; null:
    /// no dropout.
    /// </summary>
    public StepState? Dropout { get; }

    /// <summary>How linear layers choose rows for the gradients of weights; null: from all rows.</summary>
    internal RowSampling? Sampling { get; init; }

    /// <summary>The noise that embeddings get in training; null: none.</summary>
    internal EmbeddingNoise? Noise { get; init; }

    /// <summary>
    /// Called in backward with the number of a segment when all operations recorded in it are done, in all passes over
    /// it; null: nobody asks.
    /// </summary>
    internal Action<int>? Passed { get; init; }

    /// <summary>The number of operations that are recorded and that backward has not passed yet.</summary>
    public int Count => _nodes.Count;

    /// <summary>
    /// Appends an operation and returns it. Operations that produced its inputs must be recorded before it.
    /// </summary>
    public T Record<T>(T node)
        where T : Node
    {
        _nodes.Add(node);
        return node;
    }

    /// <summary>Says that the operations recorded from here on, until the next call, belong to a segment.</summary>
    /// <param name="segment">The number of the segment.</param>
    internal void Begin(int segment)
    {
        if (!Records || Passed is null)
            return;
        _segments[segment] = _segments.GetValueOrDefault(segment) + 1;
        Record(
            new SegmentNode(() =>
            {
                if (--_segments[segment] == 0)
                    Passed(segment);
            })
        );
    }

    /// <summary>
    /// Propagates all gradients deposited so far (by a loss, or by <see cref="Node.Accumulate(Tensor, bool)"/>) back
    /// through the recorded operations. Saved values and intermediate gradients are released as soon as they have been
    /// used. Afterwards the tape is empty.
    /// </summary>
    /// <param name="until">
    /// The number of operations at the start of the tape that are not run. Their gradients can be taken.
    /// </param>
    /// <exception cref="NotSupportedException">
    /// An operation on the way has no backward function; the message names it.
    /// </exception>
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
