using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>The memory behind the factors of some modules: trainable ones in a group, frozen ones each for themselves.</summary>
internal sealed class BoundFactors : IDisposable
{
    private readonly List<Parameter> _frozen = [];

    /// <summary>Allocates all factors, zero.</summary>
    public BoundFactors(Device device, IReadOnlyList<AdaptedModule> modules)
    {
        var factors = modules.SelectMany(module => module.AllFactors.Select(factor => (module, factor))).DistinctBy(pair => pair.factor).ToList();
        var trained = factors.Where(pair => pair.factor.Trains).ToList();
        Trained = new ParameterGroup(
            device, trained.Select(pair => (pair.module.FullName(pair.factor), pair.factor.Shape)), rates: [.. trained.Select(pair => pair.factor.Rate)]);
        foreach (var ((_, factor), parameter) in trained.Zip(Trained.Parameters))
            factor.Parameter = parameter;
        foreach (var (module, factor) in factors.Where(pair => !pair.factor.Trains))
            _frozen.Add(factor.Parameter = new Parameter(module.FullName(factor), Tensor.Zeros(device, factor.Shape)));
    }

    /// <summary>What does not.</summary>
    public IReadOnlyList<Parameter> Frozen => _frozen;

    /// <summary>What trains.</summary>
    public ParameterGroup Trained { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in _frozen)
            parameter.Dispose();
        Trained.Dispose();
    }
}
