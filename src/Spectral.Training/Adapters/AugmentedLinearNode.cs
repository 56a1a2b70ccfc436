using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Adapted layers with a common x in the layout of <see cref="AugmentedLinear"/>, one product each way. The rows of x
/// [N, in] have room for more columns, the outputs are columns of one matrix, and the following operations write their
/// gradients into columns of another. Siblings without an adapter are computed as they are.
/// </summary>
internal sealed class AugmentedLinearNode : Node
{
    private readonly SiblingLinears _siblings;
    private readonly AugmentedLayers _layers;
    private readonly Node? _input;
    private readonly Tensor? _x;
    private readonly Tensor? _projected;
    private readonly Tensor?[] _gradients; // only those of layers without an adapter
    private readonly bool[] _given;
    private readonly int _rows;
    private Tensor? _dy; // [N, OutputStride]

    private AugmentedLinearNode(SiblingLinears siblings, AugmentedLayers layers, Variable x, Tensor? projected)
    {
        (_siblings, _layers, _input, _rows) = (siblings, layers, x.Node, x.Columns.Rows);
        bool isRead = layers.Part.TrainsFactors || siblings.Layers.Any(layer => layer.Weight.Trains);
        _x = isRead ? Save(x.Columns.Matrix) : null;
        _projected = projected is null ? null : Own(projected);
        (_gradients, _given) = (new Tensor?[siblings.Layers.Count], new bool[siblings.Layers.Count]);
    }

    /// <summary>Applies sibling layers. Returns one value per layer.</summary>
    /// <param name="tape">The tape that records the operation.</param>
    /// <param name="x">
    /// The input, with rows of <see cref="AugmentedWeight.InputStride"/> elements. The elements after its columns are
    /// overwritten.
    /// </param>
    /// <param name="siblings">The layers, which read the same input.</param>
    /// <param name="layers">The layers with an adapter.</param>
    public static Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings, AugmentedLayers layers)
    {
        (AugmentedWeight weight, int rows, DType type) = (layers.Weight, x.Columns.Rows, x.Columns.Matrix.DType);
        bool records = tape.Records && (x.Node is not null || siblings.Trains);
        using var y = Tensor.Empty(tape.Device, (rows, weight.Outputs), type);
        Tensor? projected =
            records && layers.Part.TrainsMiddle ? Tensor.Empty(tape.Device, (rows, weight.Rank), type) : null;
        AugmentedLinear.Forward(weight, x.Columns.Matrix, y, projected);
        var values = new ColumnRange[siblings.Layers.Count];
        for (int i = 0; i < values.Length; i++)
        {
            if (layers.ColumnsOf(i) is { } own)
            {
                values[i] = new ColumnRange(y.Share(), own.From, own.Count);
                continue;
            }
            var plain = Tensor.Empty(tape.Device, (rows, siblings.Layers[i].Out), type);
            LinearNode.Forward(x.Columns, siblings.Layers[i], plain);
            values[i] = plain;
        }
        if (!records)
            return [.. values.Select(value => new Variable(value))];
        AugmentedLinearNode node = tape.Record(new AugmentedLinearNode(siblings, layers, x, projected));
        return [.. values.Select((value, i) => new Variable(value, tape.Record(new OutputNode(node, i))))];
    }

    /// <summary>
    /// Runs backward once all outputs have their gradients. All layers add to one dx buffer inside their GEMMs.
    /// </summary>
    private protected override void Pass()
    {
        if (!Array.Exists(_given, given => given))
            return;
        Tensor like = _dy ?? Array.Find(_gradients, gradient => gradient is not null)!;
        bool accumulate = false;
        Tensor? dx = _input?.GradientBuffer((_rows, _siblings.Layers[0].In), like, out accumulate);
        for (int i = 0; i < _gradients.Length; i++)
        {
            if (_gradients[i] is { } gradient)
                LinearNode.Backward(_siblings.Layers[i], _x, null, gradient, dx, ref accumulate);
        }
        if (_dy is null)
            return;
        for (int i = 0; i < _given.Length; i++)
        {
            // Unused outputs of adapted siblings are rare; zeros cost little.
            if (_given[i] || _layers.ColumnsOf(i) is not { } unused)
                continue;
            using var zeros = Tensor.Zeros(like.Device, (_rows, unused.Count), like.DType);
            CopyBlock.Run(zeros, _dy, 0, unused.From);
        }
        _layers.Part.Backward(_layers.Weight, _x, _projected, _dy, dx, accumulate);
        foreach (AdapterCore core in _layers.Part.Cores)
        {
            if (core.HasGradients)
                core.Backward();
        }
    }

    private Tensor Gradients() =>
        _dy ??= Own(Tensor.Empty(_layers.Weight.Device, (_rows, _layers.Weight.OutputStride), _layers.Weight.DType));

    /// <summary>
    /// Receives the gradient of one output. Backward passes it before the operation itself, which then has the
    /// gradients of all its outputs.
    /// </summary>
    private sealed class OutputNode(AugmentedLinearNode owner, int index) : Node
    {
        private protected override ColumnRange? Place() =>
            owner._layers.ColumnsOf(index) is { } own
                ? new ColumnRange?(new(owner.Gradients().Share(), own.From, own.Count))
                : null;

        /// <summary>
        /// Takes the gradient. If it is not in its columns already, as from operations that write whole tensors, it is
        /// copied there.
        /// </summary>
        private protected override void Backward(ColumnRange gradient)
        {
            owner._given[index] = true;
            if (owner._layers.ColumnsOf(index) is not { } own)
                base.Backward(gradient);
            else if (gradient.Matrix.Pointer != owner.Gradients().Pointer)
                CopyBlock.Run(gradient, owner.Gradients(), 0, own.From);
        }

        protected override void Backward(Tensor gradient) => owner._gradients[index] = owner.Save(gradient);
    }
}
