using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Adapted sibling layers while they run augmented. Their weights are moved into one buffer beside L and R
/// (<see cref="AugmentedWeight"/>) and moved back on disposal.
/// </summary>
internal sealed class AugmentedLayers : IDisposable
{
    private readonly Linear[] _layers;
    private readonly int[] _members;

    /// <summary>Moves the layers' weights into the augmented buffer.</summary>
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

    /// <summary>The buffer with the layers' weights and factors.</summary>
    public AugmentedWeight Weight { get; }

    /// <summary>The packed adapters of the layers.</summary>
    public AdapterPart Part { get; }

    /// <summary>
    /// Returns whether the adapters can run as an augmented product: low-rank terms only, one shared and unscaled x, a
    /// weight that is neither quantised nor divided between ranks, no other reader of it, and no dropout.
    /// </summary>
    public static bool Suits(PackedAdapters adapter) =>
        adapter is { Drops: false, Parts: [{ Factors: not null } part] }
        && part.Cores.All(core =>
            core is { Form.IsLowRank: true, ReadsWeight: false, IsSharded: false, Weight.Quantized: null }
        );

    /// <summary>
    /// Returns the output columns of the layer at a place among its siblings; null if the layer has no adapter.
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
