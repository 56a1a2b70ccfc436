using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The adapted layers of a group for as long as they run augmented: their weights have moved into one buffer with L and R beside them
/// (<see cref="AugmentedWeight"/>) and move back when this is disposed.
/// </summary>
internal sealed class AugmentedLayers : IDisposable
{
    private readonly Linear[] _layers;
    private readonly int[] _members;

    /// <summary>Moves the weights.</summary>
    public AugmentedLayers(LinearGroup group, AdapterPart part)
    {
        Part = part;
        _layers = [.. part.Places.Select(place => group.Layers[place])];
        _members = new int[group.Layers.Count];
        Array.Fill(_members, -1);
        for (var j = 0; j < _layers.Length; j++)
            _members[part.Places[j]] = j;
        Weight = new AugmentedWeight(
            [.. _layers.Select(layer => new LowRankLayer(layer.Weight.Value, layer.Bias?.Value))],
            part.Factors!
        );
        for (var j = 0; j < _layers.Length; j++)
            _layers[j].Weight.MoveTo(Weight.WeightOf(j));
    }

    /// <summary>The weights and factors.</summary>
    public AugmentedWeight Weight { get; }

    /// <summary>The adapters.</summary>
    public AdapterPart Part { get; }

    /// <summary>
    /// Whether a group's adapters have the form of an augmented product: low-rank terms alone, of layers that share x as it is, with a base weight that
    /// nothing else reads, and no dropout.
    /// </summary>
    public static bool Suits(AdapterGroup adapter) =>
        adapter is { Drops: false, Parts: [{ Factors: not null } part] }
        && part.Cores.All(core => core.Form.IsLowRank && !core.ReadsWeight);

    /// <summary>The columns of the layer at a place of the group among the outputs; null where it carries no adapter.</summary>
    public (int From, int Count)? ColumnsOf(int place) =>
        _members[place] < 0 ? null : Weight.OutputsOf(_members[place]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in _layers)
            layer.Weight.MoveBack();
        Weight.Dispose();
    }
}
