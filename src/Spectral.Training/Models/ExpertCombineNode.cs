using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>The sum over each token's experts of their outputs, times the weights of the router.</summary>
internal sealed class ExpertCombineNode : Node
{
    private readonly Node? _weightNode;
    private readonly Node?[] _outputNodes;
    private readonly IReadOnlyList<ExpertOrder.Part> _parts;
    private readonly Tensor _places;
    private readonly Tensor _weights;
    private readonly Tensor? _rows;

    private ExpertCombineNode(ExpertOrder order, IReadOnlyList<Variable> outputs, Variable weights, Tensor rows)
    {
        (_weightNode, _outputNodes, _parts) = (weights.Node, [.. outputs.Select(output => output.Node)], order.Parts);
        _places = Save(order.Places);
        _weights = Save(weights.Value);
        _rows = weights.Node is null ? null : Save(rows);
    }

    /// <summary>Sums the outputs. Returns values [N, D].</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="order">The tokens by expert.</param>
    /// <param name="outputs">The output [count, D] of each expert that has rows.</param>
    /// <param name="weights">The weights of each token's experts, [N, k] F32.</param>
    public static Variable Apply(Tape tape, ExpertOrder order, IReadOnlyList<Variable> outputs, Variable weights)
    {
        Tensor first = outputs[0].Value;
        (int columns, DType type) = (first.Dim(1), first.DType);
        using var rows = Tensor.Empty(tape.Device, (order.Tokens.Dim(0), columns), type);
        for (int i = 0; i < outputs.Count; i++)
        {
            using Tensor own = order.Parts[i].Of(rows);
            own.CopyFrom(outputs[i].Value);
        }
        var y = Tensor.Empty(tape.Device, (weights.Value.Dim(0), columns), type);
        ExpertRows.Combine(rows, order.Places, weights.Value, y);
        bool records = tape.Records && (weights.Node is not null || outputs.Any(output => output.Node is not null));
        return new Variable(y, records ? tape.Record(new ExpertCombineNode(order, outputs, weights, rows)) : null);
    }

    /// <summary>Computes the gradients of the outputs and of the weights, each where something needs it.</summary>
    protected override void Backward(Tensor gradient)
    {
        bool reaches = Array.Exists(_outputNodes, node => node is not null);
        Shape shape = (checked((int)_places.Count), gradient.Dim(1));
        using Tensor? dRows = reaches ? Tensor.Empty(gradient.Device, shape, gradient.DType) : null;
        Tensor? dWeights = _weightNode is null ? null : Tensor.Empty(gradient.Device, _weights.Shape);
        ExpertRows.Backward(gradient, _places, _weights, _rows, dRows, dWeights);
        for (int i = 0; i < _outputNodes.Length; i++)
            _outputNodes[i]?.Accumulate(_parts[i].Of(dRows!));
        if (dWeights is not null)
            Deposit(_weightNode, dWeights);
    }
}
