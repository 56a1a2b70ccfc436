using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>
/// y = x Wᵀ + bias, plus s·((x Rᵀ)∘c) Lᵀ where a layer carries an adapter: x [N, in], W [out, in], y [N, out], for all layers of a
/// <see cref="LinearGroup"/> at once.
/// </summary>
public sealed class LinearNode : Node
{
    private readonly LinearGroup _group;
    private readonly AdapterGroup? _adapter;
    private readonly DropoutMask? _dropout;
    private readonly Node? _input;
    private readonly Tensor? _x;
    private readonly Tensor? _projected;
    private readonly Tensor?[] _gradients;
    private readonly int _rows;

    private LinearNode(LinearGroup group, Variable x, Tensor? projected, DropoutMask? dropout)
    {
        (_group, _adapter, _dropout, _input) = (group, group.Adapter, dropout, x.Node);
        _rows = x.Value.Dim(0);
        _x = group.NeedsInput ? Save(x.Value) : null;
        _projected = projected is null ? null : Own(projected);
        _gradients = new Tensor?[group.Layers.Count];
    }

    /// <summary>Applies a layer that shares its input with no other.</summary>
    public static Variable Apply(Tape tape, Variable x, Linear layer) => layer.Group.Layers.Count == 1
        ? Apply(tape, x, layer.Group)[0]
        : throw new ArgumentException($"{layer.Name} shares its input with other layers, expected their group", nameof(layer));

    /// <summary>Applies all layers of a group, with whatever adapters are attached to them; one value per layer.</summary>
    public static Variable[] Apply(Tape tape, Variable x, LinearGroup group)
    {
        group.Observer?.Forward(x.Value);
        var rows = x.Value.Dim(0);
        Tensor[] values = [.. group.Layers.Select(layer => Tensor.Empty(tape.Device, (rows, layer.Out), x.Value.DType))];
        for (var i = 0; i < values.Length; i++)
        {
            var layer = group.Layers[i];
            if (layer.Adapter is not null)
                continue;
            Gemm.Run(x.Value, false, layer.Weight.Value, true, values[i]);
            if (layer.Bias is not null)
                AddBias.Run(values[i], layer.Bias.Value);
        }
        var dropout = group.Adapter?.DropoutOn(tape);
        var projected = group.Adapter is null ? null : Tensor.Empty(tape.Device, (rows, group.Adapter.Rank), x.Value.DType);
        group.Adapter?.Forward(x.Value, values, projected!, dropout);
        if (tape.Records && (x.Node is not null || group.NeedsBackward))
        {
            var node = tape.Record(new LinearNode(group, x, projected, dropout));
            return [.. values.Select((value, i) => new Variable(value, tape.Record(new OutputNode(node, i))))];
        }
        projected?.Dispose();
        return [.. values.Select(value => new Variable(value))];
    }

    /// <summary>All layers add into one dx buffer inside their GEMMs.</summary>
    private protected override void Pass()
    {
        if (Array.TrueForAll(_gradients, gradient => gradient is null))
            return;
        var like = Array.Find(_gradients, gradient => gradient is not null)!;
        var accumulate = false;
        var dx = _input?.GradientBuffer((_rows, _group.Layers[0].In), like, out accumulate);
        for (var i = 0; i < _gradients.Length; i++)
        {
            var layer = _group.Layers[i];
            if (_projected is not null && layer.Adapter is not null)   // unused outputs of an adapted group are rare: zeros will do
                _gradients[i] ??= Own(Tensor.Zeros(like.Device, (_rows, layer.Out), like.DType));
            if (_gradients[i] is not { } gradient)
                continue;
            if (layer.Weight.Gradient is { } dWeight)
                Gemm.Run(gradient, true, _x!, false, dWeight, 1, 1);
            if (layer.Bias?.Gradient is { } dBias)
                BiasGradient.Run(gradient, dBias, true);
            if (dx is null || (_projected is not null && layer.Adapter is not null))
                continue;
            Gemm.Run(gradient, false, layer.Weight.Value, false, dx, 1, accumulate ? 1 : 0);
            accumulate = true;
        }
        if (_group.Observer is { SeesGradients: true } observer)
            observer.Backward(_x!, _gradients);
        if (_projected is not null)
            _adapter!.Backward(_x, _projected, _gradients, dx, accumulate, _dropout);
    }

    /// <summary>One output's slot. It is passed before the operation itself, which then has the gradients of all its outputs.</summary>
    private sealed class OutputNode(LinearNode owner, int index) : Node
    {
        protected override void Backward(Tensor gradient) => owner._gradients[index] = owner.Save(gradient);
    }
}
