using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <summary>
/// An adapter folder in terms of its method: modules with their factors, every tensor checked to be there with its
/// shape.
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

    /// <summary>Opens the folder of an adapter for a model whose weights are in another folder.</summary>
    /// <exception cref="InputException">It is no adapter folder, or not this model's; its kind is not known here; or a
    /// tensor is missing or has another shape.</exception>
    public AdapterReader(string directory, ModelFolder model, double learningRateRatio = 1)
        : this(directory, model.Config, learningRateRatio)
    {
        try
        {
            _folder.CheckFits(model);
            _saved.RemoveAll(tensor => !tensor.Trains && Stored(tensor).HasValuesOf(model.Untied(tensor.Name)));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Opens the folder of an adapter for a model without looking at its weights.</summary>
    /// <inheritdoc cref="AdapterReader(string, ModelFolder, double)"/>
    public AdapterReader(string directory, ModelConfig config, double learningRateRatio = 1)
        : this(learningRateRatio, directory, config) { }

    /// <summary>
    /// Opens the folder of an adapter for a model that is not at hand: the layers' sizes are deduced from the tensors.
    /// </summary>
    /// <inheritdoc cref="AdapterReader(string, ModelFolder, double)"/>
    public AdapterReader(string directory)
        : this(1, directory, null) { }

    private AdapterReader(double learningRateRatio, string directory, ModelConfig? model)
    {
        ModuleShape[]? layers = model is null
            ? null
            :
            [
                .. ModelTensors
                    .Adaptable(model)
                    .Select(linear => new ModuleShape(linear.Name, linear.Outputs, linear.Inputs, linear.HasBias)),
            ];
        _folder = AdapterFolder.Open(directory);
        try
        {
            _warnings = [.. _folder.Warnings];
            AdapterConfig config = _folder.Config;
            Options = config.Options with
            {
                TargetModules = config.TargetModules.Names ?? [],
                LearningRateRatio = learningRateRatio,
            };
            var adapted = layers?.Where(layer => config.Matches(layer.Name) && !IsCopy(model, layer.Name)).ToList();
            if (adapted is { Count: 0 })
            {
                throw new InputException(
                    $"{directory}: target_modules of the adapter's config matches no layer of the model; "
                        + "is it the adapter of another model?"
                );
            }

            adapted = adapted?.FindAll(module => !Options.IsGivenUp(module.Name));
            (HashSet<string> leaves, HashSet<string> shared) = Names(adapted ?? ModuleSizes.Probes(Method));
            _savedTensors = new SavedTensors(_folder, model is null ? null : [.. ModelTensors.Untied(model)]);
            var names = layers?.Select(layer => layer.Name).ToHashSet();
            _tensors = new AdapterTensors(_folder, leaves, shared, _savedTensors, names);
            _saved = [.. _savedTensors.Check(_warnings).Where(tensor => !IsCopy(model, tensor.Module))];
            if (LacksStart && _saved.Find(tensor => !tensor.Trains && config.Matches(tensor.Module)) is { } residual)
            {
                throw new InputException(
                    $"{_folder.WeightsPath}: has base weights of {residual.Module}, from which "
                        + "the start of its factors was taken away already; convert the adapter with PEFT "
                        + "(path_initial_model_for_weight_conversion)"
                );
            }

            PooledInputs.Refuse(_folder, _tensors, layers);
            CheckModules(layers);
            adapted = adapted is null
                ? ModuleSizes.Deduce(_folder, _tensors, module => !Options.IsGivenUp(module), Describe)
                : WithTensors(adapted);
            if (!config.IsListAlone || _leftOut || GivesUpSome())
                Options = Options with { TargetModules = [.. adapted.Select(module => module.Name)] };
            WarnOfUnmatched(layers);
            Options = Options with { Bias = StoredBiases(adapted, layers) };
            _modules = AdaptedModule.Describe(
                Method,
                [.. adapted.Select(module => (module, WithoutMissingBias(module)))]
            );
            foreach (AdaptedModule module in _modules)
                CheckTensors(module);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The method.</summary>
    public AdapterMethod Method => _folder.Config.Method;

    /// <summary>The settings.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The modules, without factors yet.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _modules;

    /// <summary>
    /// The tensors of the model that the adapter has its own values of. Of those that only stand in for the base's, the
    /// ones that differ from it, if the model was given with its weights.
    /// </summary>
    internal IReadOnlyList<SavedTensor> Saved => _saved;

    /// <summary>Path or name of the base model, as the file has it.</summary>
    internal string? BaseModel => _folder.Config.BaseModel;

    /// <summary>What was odd but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Whether <see cref="Fill"/> needs base weights.</summary>
    internal bool LacksStart => _folder.Config.LacksStart;

    /// <summary>Gives all factors their stored values, and those that are not stored their start.</summary>
    /// <param name="modules">The modules, with memory behind their factors.</param>
    /// <param name="weight">The base weight [out, in] of a module; asked for only if the file <see
    /// cref="LacksStart"/>.</param>
    internal void Fill(IReadOnlyList<AdaptedModule> modules, Func<AdaptedModule, Tensor> weight)
    {
        if (LacksStart)
            BeginAgain(modules, weight);
        var filled = new HashSet<string>();
        foreach (AdaptedModule module in modules)
        {
            IEnumerable<StoredTensor> declared = module.Stored(LacksStart);
            foreach (StoredTensor stored in declared.Where(stored => !stored.IsShared || filled.Add(stored.Name)))
            {
                if (!IsAbsent(module, stored))
                    stored.Write(_tensors.Find(module, stored).ToFloats());
                else
                    stored.Begin(module);
            }

            foreach (Factor factor in module.AllFactors.Where(factor => !factor.IsSaved))
            {
                factor.Start.Fill(
                    factor.Parameter.Master,
                    module.Options.Seed,
                    RandomStream.For(module.FullName(factor))
                );
            }
        }
    }

    /// <summary>A tensor that the adapter's changes add to: the model's, or what stands in for it.</summary>
    internal SafetensorsTensor BaseOf(ModelFolder model, string tensor) =>
        _saved.Find(saved => saved.Name == tensor && !saved.Trains) is { } own ? Stored(own) : model.Untied(tensor);

    /// <summary>
    /// Whether embedding and head, tied in the model, part under the adapter. They stay one where both are saved with
    /// the same values.
    /// </summary>
    public bool Parts(ModelFolder model)
    {
        if (!model.Config.TieWordEmbeddings || TiedHead.Follows(model.Config, Options, _saved, _modules))
            return false;
        if (!TiedHead.IsTouched(_saved, _modules))
            return false;
        SavedTensor? embedding = _saved.Find(tensor => tensor.Name == ModelTensors.Embedding);
        SavedTensor? head = _saved.Find(tensor => tensor.Name == ModelTensors.Head);
        if (embedding is null || head is null || TiedHead.IsTouched([], _modules))
            return true;
        return !(embedding.Tokens ?? []).SequenceEqual(head.Tokens ?? [])
            || !Stored(embedding).HasValuesOf(Stored(head));
    }

    /// <summary>A saved tensor in the file.</summary>
    internal SafetensorsTensor Stored(SavedTensor tensor) => _savedTensors[tensor];

    /// <summary>The stored values of one of a module's own tensors.</summary>
    internal float[] Stored(AdaptedModule module, string leaf) =>
        _tensors.Find(module, module.Stored(LacksStart).First(stored => stored.Name == leaf)).ToFloats();

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// Finds again what the factors started as. Signs may differ from those of the program that trained, their products
    /// do not.
    /// </summary>
    private void BeginAgain(IReadOnlyList<AdaptedModule> modules, Func<AdaptedModule, Tensor> weight)
    {
        Method.Initialize([
            .. modules.Select(module => new AdapterStart(module.Shape, weight(module), module.Factors, module.Options)),
        ]);
        foreach (AdaptedModule module in modules)
        {
            foreach (Factor factor in module.AllFactors.Where(factor => factor.Start.IsCopy && factor.IsSaved))
                factor.Start.Fill(factor.Parameter.Master, 0, 0);
        }
    }

    /// <summary>The names that the method declares for any of some modules.</summary>
    private (HashSet<string> Leaves, HashSet<string> Shared) Names(IReadOnlyList<ModuleShape> modules)
    {
        HashSet<string> leaves = [];
        HashSet<string> shared = [];
        foreach (AdaptedModule module in AdaptedModule.Describe(Method, Options, modules))
        {
            foreach (StoredTensor stored in module.Stored(LacksStart))
                (stored.IsShared ? shared : leaves).Add(stored.Name);
        }

        if (Options.Bias != AdapterBias.None)
            leaves.Add(AdapterTensors.WrappedBias);
        return (leaves, shared);
    }

    /// <summary>
    /// The settings of a module. In files of the LoRA family the rank comes from the tensors, the scale from the
    /// config, as in PEFT.
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
    /// Whether a module is a tied head that follows the embedding: what the file has of it is a copy.
    /// </summary>
    private bool IsCopy(ModelConfig? model, string module) =>
        module == ModelTensors.HeadModule && Options.KeepTied && model is { TieWordEmbeddings: true };

    private bool GivesUpSome() => Options.Rank != 0 && Options.RankPattern.Any(pair => pair.Value == 0);

    /// <summary>Whether the file leaves out what follows from its settings.</summary>
    private bool IsAbsent(AdaptedModule module, StoredTensor stored) =>
        stored.MayBeAbsent && !_tensors.Has(module, stored);
}
