using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The middle h [N, E·r] with one gate for each token and expert: g[n, e, i] = π[n, e]·h[n, e, i]. All values are F32.
/// </summary>
internal sealed class GateNode : Node
{
    private readonly Node? _middle;
    private readonly Node? _router;
    private readonly Tensor _h;
    private readonly Tensor _gates;

    private GateNode(Variable h, Variable gates)
    {
        (_middle, _router) = (h.Node, gates.Node);
        _h = Save(h.Value);
        _gates = Save(gates.Value);
    }

    /// <summary>Multiplies each expert's columns with its gate.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="h">The middle [N, E·r], the columns of an expert side by side.</param>
    /// <param name="gates">The gates π [N, E].</param>
    /// <returns>g [N, E·r].</returns>
    public static Variable Apply(Tape tape, Variable h, Variable gates)
    {
        Tensor g = Multiply(h.Value, gates.Value);
        bool records = tape.Records && (h.Node is not null || gates.Node is not null);
        return new Variable(g, records ? tape.Record(new GateNode(h, gates)) : null);
    }

    /// <summary>Passes on the gradients of h and of the gates.</summary>
    protected override void Backward(Tensor gradient)
    {
        if (_middle is not null)
            Deposit(_middle, Multiply(gradient, _gates));
        if (_router is null)
            return;
        var dGates = Tensor.Empty(gradient.Device, _gates.Shape);
        using Tensor blocks = Blocks(gradient, _gates);
        using Tensor values = Blocks(_h, _gates);
        BroadcastDot.Run(blocks, values, dGates, Broadcast.PerRow);
        Deposit(_router, dGates);
    }

    private static Tensor Multiply(Tensor h, Tensor gates)
    {
        var g = Tensor.Empty(h.Device, h.Shape);
        using Tensor blocks = Blocks(h, gates);
        using Tensor products = Blocks(g, gates);
        BroadcastMultiply.Run(blocks, gates, products, Broadcast.PerRow);
        return g;
    }

    /// <summary>Returns a view of the columns of each expert as rows, [N·E, r].</summary>
    private static Tensor Blocks(Tensor h, Tensor gates) =>
        h.View((checked((int)gates.Count), h.Dim(1) / gates.Dim(1)));
}
