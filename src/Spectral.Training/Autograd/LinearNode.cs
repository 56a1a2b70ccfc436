using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>y = x Wᵀ + bias, plus s·((x Rᵀ)∘c) Lᵀ when the layer carries an adapter: x [N, in], W [out, in], y [N, out].</summary>
public sealed class LinearNode : Node
{
    private readonly Linear _layer;
    private readonly Node? _input;
    private readonly Tensor? _x;
    private readonly Tensor? _projected;

    private LinearNode(Linear layer, Variable x, Tensor? projected)
    {
        _layer = layer;
        _input = x.Node;
        _x = layer.NeedsInput ? Save(x.Value) : null;
        _projected = projected is null ? null : Own(projected);
    }

    /// <summary>Applies a linear layer with whatever adapter is attached to it.</summary>
    public static Variable Apply(Tape tape, Variable x, Linear layer)
    {
        var y = Tensor.Empty(tape.Device, (x.Value.Dim(0), layer.Out), x.Value.DType);
        Tensor? projected = null;
        if (layer.Adapter is { } adapter)
        {
            projected = Tensor.Empty(tape.Device, (x.Value.Dim(0), adapter.Rank), x.Value.DType);
            LowRankLinear.Forward(x.Value, layer.Weight.Value, layer.Bias?.Value, adapter.Factors, y, projected);
        }
        else
        {
            Gemm.Run(x.Value, false, layer.Weight.Value, true, y);
            if (layer.Bias is not null)
                AddBias.Run(y, layer.Bias.Value);
        }
        if (tape.Records && (x.Node is not null || layer.Trains))
            return new Variable(y, tape.Record(new LinearNode(layer, x, projected)));
        projected?.Dispose();
        return new Variable(y);
    }

    /// <summary>Siblings that read the same x (q, k, v; gate, up) add into one dx buffer inside their GEMMs.</summary>
    protected override void Backward(Tensor gradient)
    {
        var accumulate = false;
        var dx = _input?.GradientBuffer((gradient.Dim(0), _layer.In), gradient, out accumulate);
        if (_projected is not null)
            _layer.Adapter!.Backward(_x, _layer.Weight.Value, _projected, gradient, dx, accumulate);
        else if (dx is not null)
            Gemm.Run(gradient, false, _layer.Weight.Value, false, dx, 1, accumulate ? 1 : 0);
        if (_layer.Weight.Gradient is { } dWeight)
            Gemm.Run(gradient, true, _x!, false, dWeight, 1, 1);
        if (_layer.Bias?.Gradient is { } dBias)
            BiasGradient.Run(gradient, dBias, true);
    }
}
