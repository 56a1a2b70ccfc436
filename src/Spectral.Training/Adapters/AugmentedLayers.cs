using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Sibling layers with adapters for as long as they run augmented: their weights have moved into one buffer with L and
/// R beside them (<see cref="AugmentedWeight"/>) and move back when this is disposed.
/// </summary>
internal sealed class AugmentedLayers : IDisposable
{
    private readonly Linear[] _layers;
    private readonly int[] _members;

    /// <summary>Moves the weights.</summary>
    public AugmentedLayers(SiblingLinears siblings, AdapterPart part)
    {
        Part = part;
        _layers = [.. part.Places.Select(place => siblings.Layers[place])];
        _members = new int[siblings.Layers.Count];
        Array.Fill(_members, -1);
        for (int j = 0; j < _layers.Length; j++)
            _members[part.Places[j]] = j;
        Weight = new AugmentedWeight(
            [.. _layers.Select(layer => new LowRankLayer(layer.Weight.Value, layer.Bias?.Value))],
            part.Factors!
        );
        for (int j = 0; j < _layers.Length; j++)
            _layers[j].Weight.MoveTo(Weight.WeightOf(j));
    }

    /// <summary>The weights and factors.</summary>
    public AugmentedWeight Weight { get; }

    /// <summary>The adapters.</summary>
    public AdapterPart Part { get; }

    /// <summary>
    /// Whether the adapters have the form of an augmented product: low-rank terms alone, of layers that share x as it
    /// is, with a base weight that nothing else reads, and no dropout.
    /// </summary>
    public static bool Suits(PackedAdapters adapter) =>
        adapter is { Drops: false, Parts: [{ Factors: not null } part] }
        && part.Cores.All(core => core.Form.IsLowRank && !core.ReadsWeight);

    /// <summary>
    /// The columns of the layer at a place among its siblings in the outputs; null where it carries no adapter.
    /// </summary>
    public (int From, int Count)? ColumnsOf(int place) =>
        _members[place] < 0 ? null : Weight.OutputsOf(_members[place]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Linear layer in _layers)
            layer.Weight.MoveBack();
        Weight.Dispose();
    }
}
