using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// Activation checkpointing: keeps only a segment's input and repeats its forward pass during backward.
/// </summary>
/// <remarks>
/// The second forward pass launches the same kernels on the same values, so that gradients are bit-identical to those
/// without checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). The cost is one more
/// forward pass of the segment.
/// </remarks>
public sealed class CheckpointNode : Node
{
    private readonly Node? _input;
    private readonly Tensor _x;
    private readonly Func<Tape, Variable, Variable> _segment;

    private readonly StepState? _dropout;
    private readonly RowSampling? _sampling;

    private CheckpointNode(Tape tape, Variable x, Func<Tape, Variable, Variable> segment)
    {
        (_dropout, _sampling) = (tape.Dropout, tape.Sampling);
        _input = x.Node;
        _x = Save(x.Value);
        _segment = segment;
    }

    /// <summary>Runs a segment of the model without saving its activations.</summary>
    /// <param name="tape">The tape that records the segment as one node.</param>
    /// <param name="x">The segment's only input.</param>
    /// <param name="needsBackward">
    /// Whether backward has to reach the segment even if nothing below it trains, because a parameter inside it does.
    /// </param>
    /// <param name="segment">A pure function of its input. It is called again during backward.</param>
    public static Variable Apply(Tape tape, Variable x, bool needsBackward, Func<Tape, Variable, Variable> segment)
    {
        using var silent = new Tape(tape.Device, records: false, tape.Dropout);
        using Variable y = segment(silent, x);
        bool records = tape.Records && (x.Node is not null || needsBackward);
        return new Variable(y.Value.Share(), records ? tape.Record(new CheckpointNode(tape, x, segment)) : null);
    }

    /// <summary>Records the segment on its own tape and runs backward on that.</summary>
    protected override void Backward(Tensor gradient)
    {
        using var tape = new Tape(_x.Device, dropout: _dropout) { Sampling = _sampling };
        using var leaf = new Variable(_x.Share(), _input is null ? null : new LeafNode());
        using Variable y = _segment(tape, leaf);
        y.Node!.Accumulate(gradient.Share(), shared: true);
        tape.Backward();
        if (leaf.Node?.TakeGradient() is { } dx)
            _input!.Accumulate(dx, shared: true);
    }
}
