using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>The rows of x [N, D] that each expert reads, gathered in the order of the experts.</summary>
internal sealed class ExpertGatherNode : Node
{
    private readonly Node _input;
    private readonly Tensor _places;
    private readonly IReadOnlyList<ExpertOrder.Part> _parts;
    private readonly Tensor?[] _gradients;

    private ExpertGatherNode(Variable x, ExpertOrder order)
    {
        (_input, _parts, _gradients) = (x.Node!, order.Parts, new Tensor?[order.Parts.Count]);
        _places = Save(order.Places);
    }

    /// <summary>Gathers the rows. Returns one value [count, D] for each expert that has some.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The tokens [N, D].</param>
    /// <param name="order">The tokens by expert.</param>
    public static Variable[] Apply(Tape tape, Variable x, ExpertOrder order)
    {
        using var rows = Tensor.Empty(tape.Device, (order.Tokens.Dim(0), x.Value.Dim(1)), x.Value.DType);
        Rows.Gather(x.Value, order.Tokens, rows);
        ExpertGatherNode? node =
            tape.Records && x.Node is not null ? tape.Record(new ExpertGatherNode(x, order)) : null;
        return
        [
            .. order.Parts.Select(
                (part, i) => new Variable(part.Of(rows), node is null ? null : tape.Record(new OutputNode(node, i)))
            ),
        ];
    }

    /// <summary>Sums the gradients of each token's rows.</summary>
    private protected override void Pass()
    {
        if (Array.Find(_gradients, gradient => gradient is not null) is not { } like)
            return;
        (int tokens, int columns) = (_places.Dim(0), like.Dim(1));
        using var rows = Tensor.Empty(like.Device, (checked((int)_places.Count), columns), like.DType);
        for (int i = 0; i < _gradients.Length; i++)
        {
            using Tensor own = _parts[i].Of(rows);
            if (_gradients[i] is { } gradient)
                own.CopyFrom(gradient);
            else
                own.Clear();
        }
        var dx = Tensor.Empty(like.Device, (tokens, columns), like.DType);
        ExpertRows.Combine(rows, _places, null, dx);
        Deposit(_input, dx);
    }

    /// <summary>Receives the gradient of the rows of one expert. Backward passes it before the operation.</summary>
    private sealed class OutputNode(ExpertGatherNode owner, int index) : Node
    {
        protected override void Backward(Tensor gradient) => owner._gradients[index] = owner.Save(gradient);
    }
}
