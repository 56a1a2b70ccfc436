using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The adapters of a <see cref="SiblingLinears"/> of which each row of the input takes its own or none. The frozen
/// products run once over all rows; then each adapter adds to its rows.
/// </summary>
/// <param name="owner">The adapters of the model, which know what each row takes.</param>
internal sealed class GroupedAdapters(AdapterSet owner) : ISiblingsAdapter
{
    /// <summary>The adapters by name; those that leave these layers as they are have none.</summary>
    public Dictionary<string, PackedAdapters> Members { get; } = [];

    /// <inheritdoc/>
    public int? InputStride => null;

    /// <inheritdoc/>
    public Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings)
    {
        siblings.Observer?.Forward(x.Value);
        Tensor[] values =
        [
            .. siblings.Layers.Select(layer => Tensor.Empty(tape.Device, (x.Value.Dim(0), layer.Out), x.Value.DType)),
        ];
        for (int i = 0; i < values.Length; i++)
            LinearNode.Forward(x.Value, siblings.Layers[i], values[i]);
        foreach (AdapterSpan span in owner.Spans)
        {
            if (!Members.TryGetValue(span.Adapter, out PackedAdapters? adapter))
                continue;
            using Tensor own = x.Value.Rows(span.First, span.Count);
            Tensor[] outputs = Array.ConvertAll(values, value => value.Rows(span.First, span.Count));
            foreach (AdapterPart part in adapter.Parts)
                part.AddTo(own, outputs);
            foreach (Tensor output in outputs)
                output.Dispose();
        }
        return [.. values.Select(value => new Variable(value))];
    }
}
