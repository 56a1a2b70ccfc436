using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>The factors that all layers of an adapter share.</summary>
/// <param name="modules">All layers that the adapter covers.</param>
internal sealed class SharedFactors(IReadOnlyList<ModuleShape> modules)
{
    private readonly Dictionary<string, Factor> _factors = [];

    public IReadOnlyList<ModuleShape> Modules => modules;

    /// <summary>Returns the shared factor of a name, which is created on first use.</summary>
    /// <exception cref="InputException">
    /// Layers differ in a setting that determines its shape, such as the rank.
    /// </exception>
    public Factor Declare(string name, Shape shape, bool trains, Start start)
    {
        if (!_factors.TryGetValue(name, out Factor? factor))
            _factors.Add(name, factor = new Factor(name, shape, trains, start, isShared: true));
        return factor.Shape == shape && factor.Trains == trains
            ? factor
            : throw new InputException(
                $"--rank-pattern: all layers share {name}, which would be {factor.Shape} for "
                    + $"one and {shape} for another; expected one rank for all"
            );
    }
}
