using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>The factors that all layers of an adapter share.</summary>
/// <param name="modules">All layers that the adapter covers.</param>
internal sealed class SharedFactors(IReadOnlyList<ModuleShape> modules)
{
    private readonly Dictionary<string, Factor> _factors = [];
    private readonly Dictionary<(string Group, string Name), Factor> _groups = [];

    public IReadOnlyList<ModuleShape> Modules => modules;

    /// <summary>
    /// Returns the trained factor of a name that some layers have together, which is created on first use.
    /// </summary>
    /// <param name="group">What these layers have in common, their sizes among it.</param>
    /// <param name="name">The name in the file, after the path of each of them.</param>
    /// <param name="shape">The shape.</param>
    /// <param name="start">The start values.</param>
    public Factor OfGroup(string group, string name, Shape shape, Start start)
    {
        if (!_groups.TryGetValue((group, name), out Factor? factor))
            _groups.Add((group, name), factor = new Factor(name, shape, true, start));
        return factor.Shape == shape
            ? factor
            : throw new InputException(
                $"--rank-pattern: layers share {name}, which would be {factor.Shape} for one and {shape} for another; "
                    + "expected one rank for all"
            );
    }

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
