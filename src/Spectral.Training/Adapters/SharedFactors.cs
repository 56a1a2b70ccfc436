using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>The tensors that all layers of an adapter have in common.</summary>
/// <param name="modules">All layers it covers.</param>
internal sealed class SharedFactors(IReadOnlyList<ModuleShape> modules)
{
    private readonly Dictionary<string, Factor> _factors = [];

    public IReadOnlyList<ModuleShape> Modules => modules;

    /// <summary>The tensor of that name, the same for all who ask.</summary>
    public Factor Declare(string name, Shape shape, bool trains, Start start)
    {
        if (!_factors.TryGetValue(name, out var factor))
            _factors.Add(name, factor = new Factor(name, shape, trains, start, isShared: true));
        return factor.Shape == shape && factor.Trains == trains
            ? factor
            : throw new InvalidOperationException($"{name} is declared as {factor.Shape} by one layer and as {shape} by another");
    }
}
