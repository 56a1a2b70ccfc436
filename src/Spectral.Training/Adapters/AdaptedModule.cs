using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// An adapter's share in one linear layer: its factors by name, the form they make, and the packed core the kernels
/// read.
/// </summary>
public sealed class AdaptedModule
{
    private readonly AdapterBuilder _builder;
    private readonly HashSet<string> _read = [];
    private AdapterCore? _core;

    internal AdaptedModule(AdapterMethod method, ModuleShape shape, AdapterOptions options, SharedFactors shared)
    {
        if (shape.IsEmbedding && !method.AdaptsEmbeddings)
        {
            throw new InputException(
                $"{shape.Name}: {method.Name} adapts no embeddings, lora does; expected targets " + "without it"
            );
        }

        (Shape, Options) = (shape, options);
        _builder = new AdapterBuilder(method, shape, options with { ReadNames = _read }, shared);
        Form = method.Form(_builder);
        if (TrainsBias)
        {
            Form = Form.Bias is null
                ? Form with
                {
                    Bias = _builder.TrainedBias(),
                }
                : throw new InputException($"bias for {shape.Name}: {method.Name} changes biases in its own way");
        }

        Form.Check(shape);
    }

    private AdaptedModule(AdaptedModule other, string layer) =>
        (Shape, Options, Form, _builder) = (
            other.Shape with
            {
                Name = layer,
            },
            other.Options,
            other.Form,
            other._builder
        );

    /// <summary>The layer.</summary>
    public ModuleShape Shape { get; }

    /// <summary>The adapter's settings with this module's own rank and alpha.</summary>
    public AdapterOptions Options { get; }

    /// <summary>What the method makes of the layer.</summary>
    public AdapterForm Form { get; }

    /// <summary>
    /// F32 values by factor name, e.g. <c>lora_A.weight</c>; shared ones are the same in all modules.
    /// </summary>
    public IReadOnlyDictionary<string, Parameter> Factors =>
        _builder.Factors.ToDictionary(factor => factor.Name, factor => factor.Parameter);

    /// <summary>Whether the layer's own bias trains beside what the method does.</summary>
    internal bool TrainsBias => Options.Bias != AdapterBias.None && Shape.HasBias;

    /// <summary>
    /// Whether the method's form depends on one of the <see cref="AdapterOptions"/> that say so: rank, alpha, their
    /// scale, the rates' ratio.
    /// </summary>
    internal bool Reads(string option) => _read.Contains(option);

    /// <summary>The packed factors.</summary>
    public AdapterCore Core =>
        _core ?? throw new InvalidOperationException($"the adapter of {Shape.Name} is not packed yet");

    /// <summary>All tensors a module stores, shared ones included, in order of declaration.</summary>
    internal IReadOnlyList<Factor> AllFactors => _builder.Factors;

    /// <summary>Whether what factors started as can stand in a plain LoRA beside them.</summary>
    internal bool IncludesStart => _builder.Method.PeftType == AdapterConfig.Lora && _builder.Starts.Count > 0;

    /// <summary>Whether the base weight itself is read, once per step.</summary>
    internal bool ReadsWeight => _builder.BaseWeight is not null;

    /// <summary>The same change, by the same factors, of another layer of the same size; it stores nothing.</summary>
    internal AdaptedModule For(string layer) => new(this, layer);

    /// <summary>Describes all layers of an adapter. Nothing is allocated on a device.</summary>
    /// <exception cref="InputException">The options do not suit a layer.</exception>
    public static IReadOnlyList<AdaptedModule> Describe(
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<ModuleShape> modules
    ) =>
        Describe(
            method,
            [.. modules.Select(module => (module, method.Fit(options.For(module.Name), module, modules)))]
        );

    internal static IReadOnlyList<AdaptedModule> Describe(
        AdapterMethod method,
        IReadOnlyList<(ModuleShape Shape, AdapterOptions Options)> modules
    )
    {
        var shared = new SharedFactors([.. modules.Select(module => module.Shape)]);
        return [.. modules.Select(module => new AdaptedModule(method, module.Shape, module.Options, shared))];
    }

    /// <summary>Gives the base tensors of the layer to what reads them.</summary>
    internal void BindBase(Linear layer)
    {
        if (_builder.BaseWeight is { } weight)
            weight.Source = layer.Weight;
        if (_builder.BaseBias is { } bias)
            bias.Source = layer.Bias!;
    }

    /// <summary>Makes the core once the factors have their values.</summary>
    internal AdapterCore Pack(Linear layer, LowRankFactors? packed, DType dtype) =>
        _core = new AdapterCore(this, layer, packed, dtype);

    /// <summary>The tensors of the adapter's file, shared ones included.</summary>
    /// <param name="lacksStart">Whether they are without what factors started as.</param>
    internal IEnumerable<StoredTensor> Stored(bool lacksStart)
    {
        if (!lacksStart && !IncludesStart)
            return Saved.Select(factor => new StoredTensor(factor));
        return Saved
            .Where(factor => !_builder.IsFoundAgain(factor))
            .Select(factor =>
                !lacksStart
                && _builder.Starts.FirstOrDefault(pair => pair.Factor == factor)
                    is { Start: { } start, IsLeft: var isLeft }
                    ? new StoredTensor(factor, start, isLeft)
                    : new StoredTensor(factor)
            );
    }

    /// <summary>All factors but those that only a schedule keeps.</summary>
    private IEnumerable<Factor> Saved => AllFactors.Where(factor => factor.IsSaved);

    /// <summary>The name under which a factor is stored, without PEFT's prefix.</summary>
    internal string FullName(Factor factor) => factor.IsShared ? factor.Name : $"{Shape.Name}.{factor.Name}";
}
