namespace Spectral.Training;

/// <summary>An adapter folder in terms of its method: modules with their blocks, every tensor checked to be there with its shape.</summary>
internal sealed class AdapterReader : IDisposable
{
    private readonly AdapterFolder _folder;
    private readonly IReadOnlyList<AdaptedModule> _modules;

    /// <summary>Opens the folder of an adapter for a model whose weights are in another folder.</summary>
    /// <exception cref="InputException">It is no adapter folder, or not this model's; its kind is not known here; or a tensor is missing or has another shape.</exception>
    public AdapterReader(string directory, ModelFolder model, double learningRateRatio = 1)
        : this(directory, ModelTensors.Linears(model.Config), learningRateRatio, folder => folder.CheckFits(model))
    {
    }

    /// <summary>Opens the folder of an adapter for a model that was never stored.</summary>
    /// <inheritdoc cref="AdapterReader(string, ModelFolder, double)"/>
    public AdapterReader(string directory, ModelConfig config, double learningRateRatio = 1)
        : this(directory, ModelTensors.Linears(config), learningRateRatio, folder => folder.CheckFits(ModelTensors.Linears(config)))
    {
    }

    private AdapterReader(string directory, IEnumerable<LinearSpec> linears, double learningRateRatio, Action<AdapterFolder> check)
    {
        _folder = AdapterFolder.Open(directory);
        try
        {
            check(_folder);
            Method = AdapterMethods.FindPeftType(_folder.Config.PeftType) ?? throw new InputException(
                $"{directory}: peft_type is {_folder.Config.PeftType}; known: {string.Join(", ", AdapterMethods.All.Select(method => method.PeftType))}");
            Options = AdapterOptions.From(_folder) with { LearningRateRatio = learningRateRatio };
            _modules = AdaptedModule.Describe(Method, [.. linears.Where(linear => _folder.Modules.ContainsKey(linear.Name)).Select(Describe)]);
            foreach (var module in _modules)
                CheckTensors(module);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public AdapterMethod Method { get; }

    public AdapterOptions Options { get; }

    /// <summary>The modules, without factors yet.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _modules;

    /// <summary>Gives all factors their stored values, and those that are not stored their start.</summary>
    public void Fill(IReadOnlyList<AdaptedModule> modules)
    {
        foreach (var module in modules)
            foreach (var factor in module.AllFactors)
            {
                if (factor.IsSaved)
                    factor.Parameter.Master.CopyFrom(Tensor(module.Shape.Name, factor).ToFloats());
                else
                    factor.Start.Fill(factor.Parameter.Master, module.Options.Seed, RandomStream.For(module.FullName(factor)));
            }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The rank comes from the tensors, the scale from the config, as in PEFT.</summary>
    private (ModuleShape, AdapterOptions) Describe(LinearSpec linear)
    {
        var stored = _folder.Modules[linear.Name];
        var options = Options with { Rank = stored.Rank, Alpha = stored.Scale * (Options.RankStabilized ? Math.Sqrt(stored.Rank) : stored.Rank) };
        return (new ModuleShape(linear.Name, linear.Outputs, linear.Inputs, linear.HasBias), options);
    }

    private void CheckTensors(AdaptedModule module)
    {
        foreach (var factor in module.AllFactors.Where(factor => factor.IsSaved))
        {
            var tensor = Tensor(module.Shape.Name, factor);
            if (!tensor.Shape.SequenceEqual(factor.Shape.Dimensions()))
                throw new InputException($"{tensor.Path}: tensor {tensor.Name} is [{string.Join(", ", tensor.Shape)}], expected {factor.Shape}");
        }
    }

    private SafetensorsTensor Tensor(string module, Factor factor) => _folder.Modules[module].Find(factor.Name)
        ?? throw new InputException($"{_folder.Directory}: tensor {factor.Name} of {module} is missing");
}
