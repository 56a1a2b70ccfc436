using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// Takes out of a model what its adapter has put into it, and puts it back on disposal. Base weights keep their values
/// and places all the time, as every method computes its change apart from them.
/// </summary>
internal sealed class SuspendedAdapter : IDisposable
{
    private readonly CausalLanguageModel _model;
    private readonly IModelAdapter? _adapter;
    private readonly (Linear Layer, ILayerAdapter? Adapter)[] _layers;
    private readonly (SiblingLinears Layers, ISiblingsAdapter? Adapter)[] _siblings;
    private readonly (Parameter Weight, Parameter? StandIn)[] _weights;

    /// <summary>Takes the adapter out of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="replaced">The names of the weights that have others in their place.</param>
    public SuspendedAdapter(CausalLanguageModel model, IEnumerable<string> replaced)
    {
        _model = model;
        _adapter = model.Adapter;
        _layers = [.. model.Adaptable.Select(layer => (layer, layer.Adapter))];
        _siblings =
        [
            .. model.Adaptable.Select(layer => layer.Siblings).Distinct().Select(layers => (layers, layers.Adapter)),
        ];
        _weights =
        [
            .. replaced
                .Append(model.Config.HeadWeight)
                .Distinct()
                .Select(model.ParameterOf)
                .Select(weight => (weight, weight.StandIn)),
        ];
        foreach ((Linear layer, _) in _layers)
            layer.Adapter = null;
        foreach ((SiblingLinears layers, _) in _siblings)
            layers.Adapter = null;
        foreach ((Parameter weight, _) in _weights)
            weight.StandIn = null;
        model.Adapter = null;
    }

    /// <summary>Puts the adapter back.</summary>
    public void Dispose()
    {
        foreach ((Linear layer, ILayerAdapter? adapter) in _layers)
            layer.Adapter = adapter;
        foreach ((SiblingLinears layers, ISiblingsAdapter? adapter) in _siblings)
            layers.Adapter = adapter;
        foreach ((Parameter weight, Parameter? standIn) in _weights)
            weight.StandIn = standIn;
        _model.Adapter = _adapter;
    }
}
