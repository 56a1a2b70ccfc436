using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>An adapter's share in one linear layer: its factors by name and the packed core the kernels read.</summary>
public sealed class AdaptedModule : IDisposable
{
    private readonly Dictionary<string, Parameter> _factors = [];
    private AdapterCore? _core;

    internal AdaptedModule(ModuleShape shape, AdapterOptions options, IReadOnlyList<AdapterBlock> blocks) =>
        (Shape, Options, Blocks) = (shape, options, blocks);

    /// <summary>The layer.</summary>
    public ModuleShape Shape { get; }

    /// <summary>The adapter's settings with this module's own rank and alpha.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The terms of the weight change.</summary>
    public IReadOnlyList<AdapterBlock> Blocks { get; }

    /// <summary>F32 values by factor name, e.g. <c>lora_A.weight</c>.</summary>
    public IReadOnlyDictionary<string, Parameter> Factors => _factors;

    /// <summary>The packed factors.</summary>
    public AdapterCore Core => _core ?? throw new InvalidOperationException($"the adapter of {Shape.Name} is not packed yet");

    /// <summary>All tensors a module stores.</summary>
    internal IEnumerable<Factor> AllFactors => Blocks.SelectMany(block => block.Factors);

    /// <summary>
    /// Allocates the factors of some modules, zero: trainable ones in a group of their own, which the caller disposes, frozen ones in their module.
    /// </summary>
    internal static ParameterGroup CreateFactors(Device device, IReadOnlyList<AdaptedModule> modules)
    {
        var trained = modules.SelectMany(
            module => module.AllFactors.Where(factor => factor.Trains).Select(factor => (module.FullName(factor), factor.Shape)));
        var group = new ParameterGroup(device, trained);
        var next = 0;
        foreach (var module in modules)
            foreach (var factor in module.AllFactors)
                module._factors.Add(factor.Name, factor.Trains
                    ? group.Parameters[next++]
                    : new Parameter(module.FullName(factor), Tensor.Zeros(device, factor.Shape)));
        return group;
    }

    /// <summary>Takes the values of all factors from a stored adapter.</summary>
    internal void Fill(AdapterReader source)
    {
        foreach (var factor in AllFactors)
            _factors[factor.Name].Master.CopyFrom(source.Values(Shape, factor));
    }

    /// <summary>Makes the core once the factors have their values.</summary>
    internal AdapterCore Pack(LowRankFactors packed) => _core = new AdapterCore(Shape, Blocks, _factors, packed);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var factor in AllFactors.Where(factor => !factor.Trains))
            _factors.GetValueOrDefault(factor.Name)?.Dispose();
    }

    private string FullName(Factor factor) => $"{Shape.Name}.{factor.Name}";
}
