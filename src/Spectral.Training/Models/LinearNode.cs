using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// The product y = x Wᵀ + bias of x [N, in] and W [out, in], y [N, out], for all layers of a
/// <see cref="SiblingLinears"/> at once, with any adapters.
/// </summary>
public sealed class LinearNode : Node
{
    private readonly SiblingLinears _siblings;
    private readonly Node? _input;
    private readonly Tensor? _x;
    private readonly RowSample? _sample;
    private readonly Tensor?[] _gradients;
    private readonly int _rows;

    private LinearNode(Tape tape, SiblingLinears siblings, Variable x)
    {
        (_siblings, _input, _rows) = (siblings, x.Node, x.Value.Dim(0));
        if (siblings.NeedsInput)
            (_x, _sample) = SaveInput(tape, x.Value, siblings.SampleStream);
        _gradients = new Tensor?[siblings.Layers.Count];
    }

    /// <summary>Applies a layer that shares its input with no other layer.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, in].</param>
    /// <param name="layer">The layer to apply.</param>
    /// <exception cref="ArgumentException">The layer has siblings.</exception>
    public static Variable Apply(Tape tape, Variable x, Linear layer) =>
        layer.Siblings.Layers.Count == 1
            ? Apply(tape, x, layer.Siblings)[0]
            : throw new ArgumentException(
                $"{layer.Name} shares its input with other layers, expected their siblings",
                nameof(layer)
            );

    /// <summary>Applies sibling layers. Returns one value per layer.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The input [N, in].</param>
    /// <param name="siblings">The layers, which read the same input.</param>
    public static Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings)
    {
        if (siblings.Adapter is { } adapter)
            return adapter.Apply(tape, x, siblings);
        siblings.Observer?.Forward(x.Value);
        int rows = x.Value.Dim(0);
        Tensor[] values =
        [
            .. siblings.Layers.Select(layer => Tensor.Empty(tape.Device, (rows, layer.Out), x.Value.DType)),
        ];
        for (int i = 0; i < values.Length; i++)
            Forward(x.Value, siblings.Layers[i], values[i]);
        if (tape.Records && (x.Node is not null || siblings.NeedsBackward))
        {
            LinearNode node = tape.Record(new LinearNode(tape, siblings, x));
            return [.. values.Select((value, i) => new Variable(value, tape.Record(new OutputNode(node, i))))];
        }
        return [.. values.Select(value => new Variable(value))];
    }

    /// <summary>
    /// Computes y of one layer without its adapter, also while that has moved the weight into a wider matrix.
    /// </summary>
    internal static void Forward(ColumnRange x, Linear layer, Tensor y)
    {
        FrozenProduct.Forward(x, layer.Weight.Frozen, y);
        if (layer.Bias is not null)
            AddBias.Run(y, layer.Bias.Value);
    }

    /// <summary>
    /// Adds the gradients of what trains in a layer without an adapter, and its share of the gradient of x.
    /// </summary>
    /// <param name="layer">The layer, which has no adapter.</param>
    /// <param name="x">
    /// The input, [N, in] or wider, of which the first columns count; null where nothing reads it.
    /// </param>
    /// <param name="sample">The rows that <paramref name="x"/> consists of; null: all of them.</param>
    /// <param name="gradient">The gradient dy [N, out].</param>
    /// <param name="dx">The gradient of x, [N, in]; null where nobody needs it.</param>
    /// <param name="accumulate">
    /// Whether to add to the contents of <paramref name="dx"/>. Set to true once it has some.
    /// </param>
    internal static void Backward(
        Linear layer,
        Tensor? x,
        RowSample? sample,
        Tensor gradient,
        Tensor? dx,
        ref bool accumulate
    )
    {
        if (layer.Weight is { Trains: true, Gradient: { } dWeight })
        {
            using Tensor? rows = sample?.Of(gradient);
            Gemm.Run(
                new GemmOperand(rows ?? gradient, 0, layer.Out).Transpose(),
                new(x!, 0, x!.Dim(1)),
                new(dWeight, 0, layer.In),
                new GemmSize(layer.Out, layer.In, x.Dim(0)),
                1,
                1
            );
        }
        if (layer.Bias?.Gradient is { } dBias)
            BiasGradient.Run(gradient, dBias, true);
        if (dx is null)
            return;
        FrozenProduct.InputGradient(gradient, layer.Weight.Frozen, dx, accumulate ? 1 : 0);
        accumulate = true;
    }

    /// <summary>
    /// Runs backward once all outputs have their gradients. All layers add to one dx buffer inside their GEMMs.
    /// </summary>
    private protected override void Pass()
    {
        if (Array.Find(_gradients, gradient => gradient is not null) is not { } like)
            return;
        bool accumulate = false;
        Tensor? dx = _input?.GradientBuffer((_rows, _siblings.Layers[0].In), like, out accumulate);
        for (int i = 0; i < _gradients.Length; i++)
        {
            if (_gradients[i] is { } gradient)
                Backward(_siblings.Layers[i], _x, _sample, gradient, dx, ref accumulate);
        }
        if (_siblings.Observer is { SeesGradients: true } observer)
            observer.Backward(_x!, _gradients);
    }

    /// <summary>
    /// Receives the gradient of one output. Backward passes it before the operation itself, which then has the
    /// gradients of all its outputs.
    /// </summary>
    private sealed class OutputNode(LinearNode owner, int index) : Node
    {
        protected override void Backward(Tensor gradient) => owner._gradients[index] = owner.Save(gradient);
    }
}
