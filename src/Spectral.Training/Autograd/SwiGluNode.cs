using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The gated value y = silu(gate) ∘ up, all [N, F] (Shazeer, "GLU Variants Improve Transformer", 2020).
/// </summary>
public sealed class SwiGluNode : Node
{
    private readonly Node? _gateNode;
    private readonly Node? _upNode;
    private readonly ColumnRange _gate;
    private readonly ColumnRange _up;

    private SwiGluNode(Variable gate, Variable up)
    {
        (_gateNode, _upNode) = (gate.Node, up.Node);
        _gate = Save(gate.Columns);
        _up = Save(up.Columns);
    }

    /// <summary>Multiplies <paramref name="up"/> by the SiLU of <paramref name="gate"/>.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="gate">The gate [N, F].</param>
    /// <param name="up">The values to gate, [N, F].</param>
    public static Variable Apply(Tape tape, Variable gate, Variable up) => Apply(tape, gate, up, gate.Columns.Count);

    /// <summary>
    /// Does the same with result rows <paramref name="stride"/> elements apart, so that the next operation can append
    /// columns to them.
    /// </summary>
    internal static Variable Apply(Tape tape, Variable gate, Variable up, int stride)
    {
        (int rows, int columns, DType type) = (gate.Columns.Rows, gate.Columns.Count, gate.Columns.Matrix.DType);
        var y = new ColumnRange(Tensor.Empty(tape.Device, (rows, stride), type), 0, columns);
        SwiGlu.Forward(gate.Columns, up.Columns, y);
        bool records = tape.Records && (gate.Node is not null || up.Node is not null);
        return new Variable(y, records ? tape.Record(new SwiGluNode(gate, up)) : null);
    }

    /// <summary>Computes both gradients in one pass. SiLU is recomputed, not saved.</summary>
    protected override void Backward(Tensor gradient)
    {
        ColumnRange dGate = Place(_gateNode, _gate.Rows, _gate.Count, gradient);
        ColumnRange dUp = Place(_upNode, _up.Rows, _up.Count, gradient);
        SwiGlu.Backward(_gate, _up, gradient, dGate, dUp);
        Deposit(_gateNode, dGate);
        Deposit(_upNode, dUp);
    }
}
