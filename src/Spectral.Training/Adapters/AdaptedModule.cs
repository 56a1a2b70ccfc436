using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// One adapted layer of an adapter: its factors by name, the form they make, and the packed core that the kernels read.
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

    /// <summary>The adapted layer: its name, its sizes and whether it has a bias.</summary>
    public ModuleShape Shape { get; }

    /// <summary>The adapter's settings with this module's own rank and alpha.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The form that the method gives this layer.</summary>
    public AdapterForm Form { get; }

    /// <summary>
    /// The factors, F32, by name, e.g. <c>lora_A.weight</c>. All modules hold the same instance of a shared factor.
    /// </summary>
    public IReadOnlyDictionary<string, Parameter> Factors =>
        _builder.Factors.ToDictionary(factor => factor.Name, factor => factor.Parameter);

    /// <summary>Whether the layer's own bias trains in addition to what the method changes.</summary>
    internal bool TrainsBias => Shape.HasBias && Options.TrainsBiasOf(Shape.Name);

    /// <summary>
    /// Returns whether the method's form depends on an option. Rank, alpha, their scale and the learning rate ratio are
    /// recorded.
    /// </summary>
    /// <param name="option">The name of a property of <see cref="AdapterOptions"/>.</param>
    internal bool Reads(string option) => _read.Contains(option);

    /// <summary>The form's terms, packed in the compute type for the kernels.</summary>
    /// <exception cref="InvalidOperationException">The module has not been packed yet.</exception>
    public AdapterCore Core =>
        _core ?? throw new InvalidOperationException($"the adapter of {Shape.Name} is not packed yet");

    /// <summary>All factors of the module, shared ones included, in order of declaration.</summary>
    internal IReadOnlyList<Factor> AllFactors => _builder.Factors;

    /// <summary>Whether one of the factors trains in the current step.</summary>
    internal bool Trains => AllFactors.Any(factor => factor.Trains && factor.Parameter.Trains);

    /// <summary>Whether files hold the start values beside the factors, in one LoRA of twice the rank.</summary>
    internal bool IncludesStart => _builder.Method.PeftType == AdapterConfig.Lora && _builder.Starts.Count > 0;

    /// <summary>Whether the form's expressions read the base weight, once per step.</summary>
    internal bool ReadsWeight => _builder.BaseWeight is not null;

    /// <summary>
    /// Returns a module that applies the same factors to another layer of the same size. It stores no tensors of its
    /// own.
    /// </summary>
    internal AdaptedModule For(string layer) => new(this, layer);

    /// <summary>
    /// Describes all adapted layers. Nothing is allocated on a device. A method that distributes its rank by data is
    /// described as if every layer got the given one.
    /// </summary>
    /// <param name="method">The method that adapts the layers.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <param name="modules">The layers to adapt.</param>
    /// <exception cref="InputException">The options do not suit a layer.</exception>
    public static IReadOnlyList<AdaptedModule> Describe(
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<ModuleShape> modules
    )
    {
        if (method is PromptMethod prompt)
            modules = [prompt.ModuleOf(modules)];
        IReadOnlyList<AdapterOptions?> settings = method.StartsFromData
            ? [.. modules.Select(module => method.Fit(options.For(module.Name), module, modules))]
            : method.Distribute(modules, options, null);
        return Describe(
            method,
            [.. modules.Zip(settings).Where(pair => pair.Second is not null).Select(pair => (pair.First, pair.Second!))]
        );
    }

    internal static IReadOnlyList<AdaptedModule> Describe(
        AdapterMethod method,
        IReadOnlyList<(ModuleShape Shape, AdapterOptions Options)> modules
    )
    {
        var shared = new SharedFactors([.. modules.Select(module => module.Shape)]);
        return [.. modules.Select(module => new AdaptedModule(method, module.Shape, module.Options, shared))];
    }

    /// <summary>Points the expressions that read base tensors at the layer's weight and bias.</summary>
    internal void BindBase(Linear layer)
    {
        if (_builder.BaseWeight is { } weight)
            weight.Source = layer.Weight;
        if (_builder.BaseBias is { } bias)
            bias.Source = layer.Bias!;
    }

    /// <summary>Creates the core. The factors must have their values by now.</summary>
    internal AdapterCore Pack(Linear layer, LowRankFactors? packed, DType dtype) =>
        _core = new AdapterCore(this, layer, packed, dtype);

    /// <summary>Lists the tensors that the adapter's file has of this module, shared ones included.</summary>
    /// <param name="lacksStart">Whether the file omits the start values of the factors.</param>
    internal IEnumerable<StoredTensor> Stored(bool lacksStart)
    {
        if (!lacksStart && !IncludesStart)
            return Saved.Select(factor => new StoredTensor(factor));
        return Saved
            .Where(factor => !_builder.IsRecomputed(factor))
            .Select(factor =>
                !lacksStart
                && _builder.Starts.FirstOrDefault(pair => pair.Factor == factor)
                    is { Start: { } start, IsLeft: var isLeft }
                    ? new StoredTensor(factor, start, isLeft)
                    : new StoredTensor(factor)
            );
    }

    /// <summary>Returns whether a factor is computed again from the base where a file omits it.</summary>
    internal bool IsRecomputed(Factor factor) => _builder.IsRecomputed(factor);

    /// <summary>The factors that are stored in files; those that only a schedule needs are not.</summary>
    private IEnumerable<Factor> Saved => AllFactors.Where(factor => factor.IsSaved);

    /// <summary>Returns the name of a factor in a file, without PEFT's prefix.</summary>
    internal string FullName(Factor factor) => factor.IsShared ? factor.Name : $"{Shape.Name}.{factor.Name}";
}
