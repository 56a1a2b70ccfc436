using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Adapters;

/// <summary>
/// Reads an adapter folder in terms of its method: modules with their factors, with every tensor checked to exist and
/// to have the right shape.
/// </summary>
public sealed partial class AdapterReader : IDisposable
{
    private readonly AdapterFolder _folder;
    private readonly AdapterTensors _tensors;
    private readonly SavedTensors _savedTensors;
    private readonly IReadOnlyList<AdaptedModule> _modules;
    private readonly List<SavedTensor> _saved;
    private readonly List<string> _warnings;
    private bool _leftOut;

    /// <summary>Opens the folder of an adapter for a model whose weights are at hand.</summary>
    /// <param name="directory">The adapter's folder.</param>
    /// <param name="model">The folder of the model.</param>
    /// <param name="learningRateRatio">
    /// The <see cref="AdapterOptions.LearningRateRatio"/> for further training. Files do not store it.
    /// </param>
    /// <exception cref="InputException">
    /// The folder holds no adapter of a known kind or one of another model, or a tensor is missing or has the wrong
    /// shape.
    /// </exception>
    public AdapterReader(string directory, ModelFolder model, double learningRateRatio = 1)
        : this(learningRateRatio, directory, model.Config, model, takesPrompts: false) { }

    /// <summary>Opens the folder of an adapter for a model without looking at its weights.</summary>
    /// <inheritdoc cref="AdapterReader(string, ModelFolder, double)"/>
    public AdapterReader(string directory, ModelConfig config, double learningRateRatio = 1)
        : this(learningRateRatio, directory, config, null, takesPrompts: false) { }

    /// <summary>
    /// Opens the folder of an adapter without its model. The layers' sizes are deduced from the tensors.
    /// </summary>
    /// <inheritdoc cref="AdapterReader(string, ModelFolder, double)"/>
    public AdapterReader(string directory)
        : this(1, directory, null, null, takesPrompts: false) { }

    private AdapterReader(
        double learningRateRatio,
        string directory,
        ModelConfig? model,
        ModelFolder? weights,
        bool takesPrompts
    )
        : this(learningRateRatio, AdapterFolder.Open(directory), model, weights, takesPrompts) { }

    private AdapterReader(
        double learningRateRatio,
        AdapterFolder folder,
        ModelConfig? model,
        ModelFolder? weights,
        bool takesPrompts
    )
    {
        (_folder, string directory) = (folder, folder.Directory);
        try
        {
            _warnings = [.. _folder.Warnings];
            AdapterConfig config = _folder.Config;
            Options = config.Options with
            {
                TargetModules = config.TargetModules.Names ?? [],
                LearningRateRatio = learningRateRatio,
            };
            if (Options.FanInFanOut && model is not null && ModelTensors.Transposed(model).Count == 0)
            {
                _warnings.Add(
                    $"{AdapterConfigFile.Path(directory)}: fan_in_fan_out is true; taken as false, as PEFT does, since "
                        + "the model's layers "
                        + "store their weights [out, in]"
                );
            }

            ModuleShape[]? layers = Layers(config, model, takesPrompts);
            if (config.Method is PromptMethod prompt)
            {
                Options = prompt.AsStored(Options);
                prompt.RequireAlone(Options);
            }

            var adapted = layers?.Where(layer => config.Matches(layer.Name) && !IsCopy(model, layer.Name)).ToList();
            if (adapted is { Count: 0 })
            {
                throw new InputException(
                    $"{directory}: target_modules of the adapter's config matches no layer of the model; "
                        + "is it the adapter of another model?"
                );
            }

            adapted = adapted?.FindAll(module => !Options.IsPruned(module.Name));
            LeafNames leaves = Names(adapted ?? ModuleSizes.Probes(Method));
            _savedTensors = new SavedTensors(_folder, model is null ? null : [.. ModelTensors.Untied(model)]);
            var names = layers?.Select(layer => layer.Name).ToHashSet();
            _tensors = new AdapterTensors(_folder, leaves, _savedTensors, names);
            _saved = [.. _savedTensors.Check(_warnings).Where(tensor => !IsCopy(model, tensor.Module))];
            if (LacksStart && _saved.Find(tensor => !tensor.Trains && config.Matches(tensor.Module)) is { } residual)
            {
                throw new InputException(
                    $"{_folder.WeightsPath}: has base weights of {residual.Module}, from which "
                        + "the start of its factors is already subtracted; convert the adapter with PEFT "
                        + "(path_initial_model_for_weight_conversion)"
                );
            }

            PooledInputs.Refuse(_folder, _tensors, layers);
            CheckModules(layers);
            adapted = adapted is null
                ? ModuleSizes.Deduce(_folder, _tensors, module => !Options.IsPruned(module), Describe)
                : WithTensors(adapted);
            if (!config.IsListAlone || _leftOut || PrunesSome())
            {
                Options = Options with
                {
                    TargetModules =
                    [
                        .. adapted.Select(module => module.Name).Where(name => !Options.TargetsParameterOf(name)),
                    ],
                };
            }
            WarnOfUnmatched(layers);
            Options = Options with
            {
                Bias = StoredBiases(adapted, layers, out IReadOnlyList<string> biased),
                BiasModules = biased,
            };
            _modules = AdaptedModule.Describe(
                Method,
                [.. adapted.Select(module => (module, WithoutMissingBias(module)))]
            );
            foreach (AdaptedModule module in _modules)
                CheckTensors(module);
            SoftPrompt = OpenPrompt(model, takesPrompts);
            if (SoftPrompt is not null)
                Options = Options with { SoftPrompt = new SoftPrompt(SoftPrompt.Method, SoftPrompt.Options) };
            if (weights is null)
                return;
            _folder.CheckFits(weights);
            if (DoubtOf(weights) is { } doubt)
                _warnings.Add(doubt);
            _saved.RemoveAll(tensor => !tensor.Trains && Stored(tensor).HasValuesOf(weights.Untied(tensor.Name)));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Opens the folder of an adapter or of a soft prompt, which other ways to open one refuse.</summary>
    /// <remarks>A soft prompt has one module, which is no layer of the model.</remarks>
    /// <param name="directory">The folder.</param>
    /// <param name="config">The config of the model.</param>
    /// <exception cref="InputException">As for an adapter of layers.</exception>
    public static AdapterReader OfAny(string directory, ModelConfig config) => OfAny(directory, config, null, 1);

    /// <inheritdoc cref="OfAny(string, ModelConfig)"/>
    internal static AdapterReader OfAny(
        string directory,
        ModelConfig config,
        ModelFolder? weights,
        double learningRateRatio
    ) => new(learningRateRatio, directory, config, weights, takesPrompts: true);

    /// <summary>The number of virtual tokens before every row, which take the first positions; usually 0.</summary>
    public int VirtualTokens => Method.VirtualTokens(Options);

    /// <summary>The method of the stored adapter.</summary>
    public AdapterMethod Method => _folder.Config.Method;

    /// <summary>The settings of the stored adapter, with its targets as resolved.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The adapted modules. Their factors have no memory yet.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _modules;

    /// <summary>The soft prompt beside the layers; null: there is none, or it is left out.</summary>
    internal AdapterReader? SoftPrompt { get; }

    /// <summary>
    /// The tensors of the model for which the adapter has its own values. Those that merely replace the base's are
    /// listed only if they differ from it, where the model's weights are known.
    /// </summary>
    internal IReadOnlyList<SavedTensor> Saved => _saved;

    /// <summary>The path or name of the base model, as the file has it.</summary>
    internal string? BaseModel => _folder.Config.BaseModel;

    /// <summary>The warnings about things that are unusual but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>
    /// Returns what speaks against using the adapter on a base: it was trained on another form of the weights; null:
    /// nothing does.
    /// </summary>
    internal string? DoubtOf(ModelFolder model) =>
        _folder.Config.BaseForm is { } form && form != model.WeightForm
            ? $"{_folder.Directory}: trained on a base with linear layers in {InputText.Quote(form)}, here they are in "
                + $"{InputText.Quote(model.WeightForm)}, so that it corrects the rounding of others"
            : null;

    /// <summary>Whether the file omits the start values, so that <see cref="Fill"/> needs base weights.</summary>
    internal bool LacksStart => _folder.Config.LacksStart;

    /// <summary>Gives all factors their stored values, or their start values if they are not stored.</summary>
    /// <param name="modules">The modules, whose factors have memory.</param>
    /// <param name="weight">
    /// Returns the base weight [out, in] of a module. It is called only if the file <see cref="LacksStart"/>.
    /// </param>
    internal void Fill(IReadOnlyList<AdaptedModule> modules, Func<AdaptedModule, Parameter> weight)
    {
        if (LacksStart)
            RecomputeStarts(modules, weight);
        var filled = new HashSet<string>();
        foreach (AdaptedModule module in modules)
        {
            IEnumerable<StoredTensor> declared = module.Stored(LacksStart);
            foreach (StoredTensor stored in declared.Where(stored => !stored.IsShared || filled.Add(stored.Name)))
            {
                if (!IsAbsent(module, stored))
                    stored.Write(_tensors.Find(module, stored));
                else
                    stored.Begin(module);
            }

            foreach (
                Factor factor in module.AllFactors.Where(factor =>
                    !factor.IsSaved && !(LacksStart && module.IsRecomputed(factor))
                )
            )
            {
                factor.Start.Fill(
                    factor.Parameter.Master,
                    module.Options.Seed,
                    RandomStream.For(module.FullName(factor))
                );
            }
        }
    }

    /// <summary>
    /// Returns the tensor to which the adapter's changes are added: the model's, or the one that replaces it.
    /// </summary>
    internal SafetensorsTensor BaseOf(ModelFolder model, string tensor) =>
        _saved.Find(saved => saved.Name == tensor && !saved.Trains) is { } own ? Stored(own) : model.Untied(tensor);

    /// <summary>
    /// Reads the weight [out, in] to which a module's changes are added, as a model computes with it: rounded where the
    /// folder is quantised on loading, and without the part that the method takes out before.
    /// </summary>
    /// <exception cref="InputException">The folder is not quantised, and the method needs one that is.</exception>
    internal float[] ReadBase(ModelFolder model, AdaptedModule module, Device device)
    {
        string name = $"{module.Shape.Name}.weight";
        SafetensorsTensor stored = BaseOf(model, name);
        if (!ReferenceEquals(stored, model.Untied(name)))
            return stored.ToFloats(); // the adapter's own values are never quantised
        if (module.Form.Subtracted is not { } part)
            return model.ReadRounded(stored, device);
        Method.RequireSuits(model.Quantization);
        Shape shape = (module.Shape.Out, module.Shape.In);
        using Tensor left = Own(part.Left, (shape[0], part.Rank));
        using Tensor right = Own(part.Right, (part.Rank, shape[1]));
        var original = new OriginalWeight(device, shape, stored, model.Quantization!);
        using QuantizedMatrix rest = original.Without(left, right, part.Scale);
        using var values = Tensor.Empty(device, shape);
        rest.Dequantize(0, values);
        return values.ToArray();

        Tensor Own(Expression factor, Shape size) => Tensor.From(device, Stored(module, ((Factor)factor).Name), size);
    }

    /// <summary>
    /// Returns whether embedding and head, tied in the model, differ with the adapter. They stay equal if both are
    /// saved with the same values.
    /// </summary>
    public bool Parts(ModelFolder model)
    {
        if (!model.Config.TieWordEmbeddings || TiedHead.Follows(model.Config, Options, _saved, _modules))
            return false;
        if (!TiedHead.IsTouched(_saved, _modules))
            return false;
        SavedTensor? embedding = _saved.Find(tensor => tensor.IsEmbedding);
        SavedTensor? head = _saved.Find(tensor => tensor.IsHead);
        if (embedding is null || head is null || TiedHead.IsTouched([], _modules))
            return true;
        return !(embedding.Tokens ?? []).SequenceEqual(head.Tokens ?? [])
            || !Stored(embedding).HasValuesOf(Stored(head));
    }

    /// <summary>Returns a saved tensor of the file.</summary>
    internal SafetensorsTensor Stored(SavedTensor tensor) => _savedTensors[tensor];

    /// <summary>Returns the stored values of one of a module's own tensors.</summary>
    internal float[] Stored(AdaptedModule module, string leaf) =>
        _tensors.Find(module, module.Stored(LacksStart).First(stored => stored.Name == leaf)).ToFloats();

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// Recomputes the start values of the factors. Signs may differ from those of the program that trained them; the
    /// products do not.
    /// </summary>
    private void RecomputeStarts(IReadOnlyList<AdaptedModule> modules, Func<AdaptedModule, Parameter> weight)
    {
        Method.BeginAll([
            .. modules.Select(module => new AdapterStart(module.Shape, weight(module), module.Factors, module.Options)),
        ]);
        foreach (AdaptedModule module in modules)
        {
            foreach (Factor factor in module.AllFactors.Where(factor => factor.Start.IsCopy && factor.IsSaved))
                factor.Start.Fill(factor.Parameter.Master, 0, 0);
        }
    }

    /// <summary>Collects the tensor names that the method declares for some modules.</summary>
    private LeafNames Names(IReadOnlyList<ModuleShape> modules)
    {
        var names = new LeafNames([], [], []);
        foreach (AdaptedModule module in AdaptedModule.Describe(Method, Options, modules))
        {
            foreach (StoredTensor stored in module.Stored(LacksStart))
            {
                (stored.IsShared ? names.Shared : names.Own).Add(stored.Name);
                if (stored.HoldsPlaces)
                    names.Places.Add(stored.Name);
            }
        }

        if (Options.Bias != AdapterBias.None)
            names.Own.Add(AdapterTensors.WrappedBias);
        return names;
    }

    /// <summary>
    /// Returns the settings of a module. In files of the LoRA family the rank comes from the tensors and the scale from
    /// the config, as in PEFT.
    /// </summary>
    private AdapterOptions Describe(string module)
    {
        AdapterOptions options = Method.Observe(Options.For(module), leaf => _tensors.Shape(module, leaf));
        IReadOnlyDictionary<string, AdapterTensor> stored = _tensors.Of(module);
        AdapterTensor? right = stored.GetValueOrDefault(LoraNames.A) ?? stored.GetValueOrDefault(LoraNames.EmbeddingA);
        if (Method.PeftType != AdapterConfig.Lora || right is not { Shape: [var rows, _] })
            return options;
        long rank = _folder.Config.IncludesStart ? rows / 2 : rows;
        if (rank == options.Rank || rank is < 1 or > int.MaxValue)
            return options;
        string warning =
            $"{_folder.WeightsPath}: {InputText.Quote(module)} has rank {rank}, the config says "
            + $"{options.Rank}; the scale follows the config";
        if (!_warnings.Contains(warning))
            _warnings.Add(warning);
        return options with
        {
            Rank = (int)rank,
            Alpha = options.Scale * (options.RankStabilized ? Math.Sqrt(rank) : rank),
        };
    }

    /// <summary>
    /// Returns whether a module is a tied head that follows the embedding, so that its tensors in the file are copies.
    /// </summary>
    private bool IsCopy(ModelConfig? model, string module) =>
        ModelFamilies.IsHead(module) && Options.KeepTied && model is { TieWordEmbeddings: true };

    private bool PrunesSome() => Options.Rank != 0 && Options.RankPattern.Any(pair => pair.Value == 0);

    /// <summary>Returns whether the file omits a tensor whose values follow from the settings.</summary>
    private bool IsAbsent(AdaptedModule module, StoredTensor stored) =>
        stored.MayBeAbsent && !_tensors.Has(module, stored);
}
