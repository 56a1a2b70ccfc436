using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>y = silu(gate) ∘ up, all [N, F] (Shazeer, "GLU Variants Improve Transformer", 2020).</summary>
public sealed class SwiGluNode : Node
{
    private readonly Node? _gateNode;
    private readonly Node? _upNode;
    private readonly Tensor _gate;
    private readonly Tensor _up;

    private SwiGluNode(Variable gate, Variable up)
    {
        (_gateNode, _upNode) = (gate.Node, up.Node);
        _gate = Save(gate.Value);
        _up = Save(up.Value);
    }

    /// <summary>Gates <paramref name="up"/> by the SiLU of <paramref name="gate"/>.</summary>
    public static Variable Apply(Tape tape, Variable gate, Variable up)
    {
        var y = Tensor.Empty(tape.Device, gate.Value.Shape, gate.Value.DType);
        SwiGlu.Forward(gate.Value, up.Value, y);
        var records = tape.Records && (gate.Node is not null || up.Node is not null);
        return new Variable(y, records ? tape.Record(new SwiGluNode(gate, up)) : null);
    }

    /// <summary>One pass gives both gradients; SiLU is recomputed rather than saved.</summary>
    protected override void Backward(Tensor gradient)
    {
        var dGate = Tensor.Empty(_gate.Device, _gate.Shape, _gate.DType);
        var dUp = Tensor.Empty(_up.Device, _up.Shape, _up.DType);
        SwiGlu.Backward(_gate, _up, gradient, dGate, dUp);
        Deposit(_gateNode, dGate);
        Deposit(_upNode, dUp);
    }
}
