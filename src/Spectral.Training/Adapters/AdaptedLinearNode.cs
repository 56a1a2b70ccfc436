using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The layers of a <see cref="SiblingLinears"/> with their adapters: <c>y = ρ ∘ (u (W' + S)ᵀ + Σ s·((u Rᵀ)∘c) Lᵀ) +
/// b</c> with <c>u = x ∘ a</c> (<see cref="AdapterForm"/>). Layers without an adapter are computed as they are.
/// </summary>
internal sealed class AdaptedLinearNode : Node
{
    private readonly SiblingLinears _siblings;
    private readonly PackedAdapters _adapter;
    private readonly DropoutMask? _dropout;
    private readonly Node? _input;
    private readonly Tensor? _x;
    private readonly RowSample? _sample;
    private readonly Tensor?[] _projected;
    private readonly Tensor?[] _unscaled;
    private readonly Tensor?[] _gradients;
    private readonly int _rows;

    private AdaptedLinearNode(
        Tape tape,
        SiblingLinears siblings,
        PackedAdapters adapter,
        Variable x,
        Tensor?[] projected,
        Tensor?[] unscaled,
        DropoutMask? dropout
    )
    {
        (_siblings, _adapter, _dropout, _input) = (siblings, adapter, dropout, x.Node);
        (_rows, _projected, _unscaled) = (x.Value.Dim(0), projected, unscaled);
        if (siblings.NeedsInput)
            (_x, _sample) = SaveInput(tape, x.Value, siblings.SampleStream);
        foreach (Tensor tensor in projected.Concat(unscaled).OfType<Tensor>())
            Own(tensor);
        _gradients = new Tensor?[siblings.Layers.Count];
    }

    /// <summary>Applies sibling layers, some of which have an adapter. Returns one value per layer.</summary>
    public static Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings, PackedAdapters adapter)
    {
        int rows = x.Value.Dim(0);
        Tensor[] values =
        [
            .. siblings.Layers.Select(layer => Tensor.Empty(tape.Device, (rows, layer.Out), x.Value.DType)),
        ];
        for (int i = 0; i < values.Length; i++)
        {
            if (siblings.Layers[i].Adapter is null)
                LinearNode.Forward(x.Value, siblings.Layers[i], values[i]);
        }

        DropoutMask? dropout = adapter.DropoutOn(tape);
        var projected = new Tensor?[adapter.Parts.Count];
        var unscaled = new Tensor?[values.Length];
        for (int i = 0; i < projected.Length; i++)
        {
            AdapterPart part = adapter.Parts[i];
            projected[i] = part.Rank == 0 ? null : Tensor.Empty(tape.Device, (rows, part.Rank), x.Value.DType);
            using Tensor? scaled = Scaled(x.Value, part);
            part.Forward(scaled ?? x.Value, values, projected[i], dropout);
            foreach ((int place, AdapterCore core) in part.Places.Zip(part.Cores))
            {
                if (core.OutputScale is not { } scale)
                    continue;
                unscaled[place] = values[place];
                values[place] = Tensor.Empty(tape.Device, values[place].Shape, values[place].DType);
                ScaleShift.Forward(unscaled[place]!, scale, core.Bias, values[place]);
            }
        }
        if (tape.Records && (x.Node is not null || siblings.Trains))
        {
            AdaptedLinearNode node = tape.Record(
                new AdaptedLinearNode(tape, siblings, adapter, x, projected, unscaled, dropout)
            );
            return [.. values.Select((value, i) => new Variable(value, tape.Record(new OutputNode(node, i))))];
        }
        foreach (Tensor? tensor in projected.Concat(unscaled))
            tensor?.Dispose();
        return [.. values.Select(value => new Variable(value))];
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
            if (_siblings.Layers[i].Adapter is null && _gradients[i] is { } gradient)
                LinearNode.Backward(_siblings.Layers[i], _x, _sample, gradient, dx, ref accumulate);
        }
        for (int i = 0; i < _projected.Length; i++)
        {
            AdapterPart part = _adapter.Parts[i];
            foreach (int place in part.Places) // unused outputs of adapted siblings are rare; zeros cost little
                _gradients[place] ??= Own(Tensor.Zeros(like.Device, (_rows, _siblings.Layers[place].Out), like.DType));
            foreach ((int place, AdapterCore core) in part.Places.Zip(part.Cores))
                _gradients[place] = Unscale(core, place, _gradients[place]!);
            PassPart(part, _projected[i], dx, ref accumulate);
            foreach (AdapterCore core in part.Cores)
            {
                if (core.HasGradients)
                    core.Backward();
            }
        }
    }

    /// <summary>Computes the gradients of bias and output scale, and returns the gradient before the scale.</summary>
    private Tensor Unscale(AdapterCore core, int place, Tensor gradient)
    {
        if (core.Form.Bias?.GradientBuffer(out bool adds) is { } dBias)
        {
            using Tensor flat = dBias.View(_siblings.Layers[place].Out);
            BiasGradient.Run(gradient, flat, adds);
        }
        if (core.OutputScale is not { } scale)
            return gradient;
        Tensor unscaled = Own(Tensor.Empty(gradient.Device, gradient.Shape, gradient.DType));
        ScaleShift.Backward(gradient, scale, unscaled);
        if (core.Form.OutputScale!.GradientBuffer(out bool addsScale) is { } dScale)
            ScaleShift.ScaleGradient(gradient, _unscaled[place]!, dScale, addsScale);
        return unscaled;
    }

    private void PassPart(AdapterPart part, Tensor? projected, Tensor? dx, ref bool accumulate)
    {
        AdapterCore core = part.Cores[0];
        if (core.InputScale is not { } scale)
        {
            part.Backward(_x, _sample, projected, _gradients, dx, accumulate, _dropout);
            accumulate = true;
            return;
        }
        Tensor? dScale = core.Form.InputScale!.GradientBuffer(out bool adds);
        using Tensor? u = _x is null ? null : Scaled(_x, part);
        using Tensor? du =
            dx is null && dScale is null
                ? null
                : Tensor.Empty(
                    _gradients[part.Places[0]]!.Device,
                    (_rows, _siblings.Layers[0].In),
                    _gradients[part.Places[0]]!.DType
                );
        part.Backward(u, _sample, projected, _gradients, du, false, _dropout);
        if (dScale is not null)
        {
            using Tensor? few = _sample?.Of(du!);
            ScaleShift.ScaleGradient(few ?? du!, _x!, dScale, adds);
        }

        if (dx is null)
            return;
        ScaleShift.Backward(du!, scale, dx, accumulate);
        accumulate = true;
    }

    private static Tensor? Scaled(Tensor x, AdapterPart part)
    {
        if (part.Cores[0].InputScale is not { } scale)
            return null;
        var scaled = Tensor.Empty(x.Device, x.Shape, x.DType);
        ScaleShift.Forward(x, scale, null, scaled);
        return scaled;
    }

    /// <summary>
    /// Receives the gradient of one output. Backward passes it before the operation itself, which then has the
    /// gradients of all its outputs.
    /// </summary>
    private sealed class OutputNode(AdaptedLinearNode owner, int index) : Node
    {
        protected override void Backward(Tensor gradient) => owner._gradients[index] = owner.Save(gradient);
    }
}
