namespace Spectral.Training;

/// <summary>An adapter folder in terms of its method: modules with their blocks, every tensor checked to be there with its shape.</summary>
internal sealed class AdapterReader : IDisposable
{
    private readonly AdapterFolder _folder;
    private readonly List<AdaptedModule> _modules = [];

    /// <summary>Opens a folder.</summary>
    /// <exception cref="InputException">It is no adapter folder, its kind is not known here, or a tensor is missing or has another shape.</exception>
    public AdapterReader(string directory)
    {
        _folder = AdapterFolder.Open(directory);
        try
        {
            Method = AdapterMethods.FindPeftType(_folder.Config.PeftType) ?? throw new InputException(
                $"{directory}: peft_type is {_folder.Config.PeftType}; known: {string.Join(", ", AdapterMethods.All.Select(method => method.PeftType))}");
            Options = AdapterOptions.From(_folder);
            foreach (var stored in _folder.Modules.Values)
                _modules.Add(Describe(stored));
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

    /// <inheritdoc cref="AdapterFolder.CheckFits(ModelFolder)"/>
    public void CheckFits(ModelFolder model) => _folder.CheckFits(model);

    /// <inheritdoc cref="AdapterFolder.CheckFits(IEnumerable{LinearSpec})"/>
    public void CheckFits(ModelConfig config) => _folder.CheckFits(ModelTensors.Linears(config));

    /// <summary>The values of one factor.</summary>
    public float[] Values(ModuleShape module, Factor factor) => Tensor(_folder.Modules[module.Name], factor).ToFloats();

    public void Dispose() => _folder.Dispose();

    /// <summary>Rank and sizes come from the tensors, the scale from the config, as in PEFT.</summary>
    private AdaptedModule Describe(AdapterModule stored)
    {
        var shape = new ModuleShape(stored.Name, (int)stored.Outputs, (int)stored.Inputs);
        var options = Options with { Rank = stored.Rank, Alpha = stored.Scale * (Options.RankStabilized ? Math.Sqrt(stored.Rank) : stored.Rank) };
        var blocks = Method.Blocks(shape, options);
        foreach (var factor in blocks.SelectMany(block => block.Factors))
        {
            var tensor = Tensor(stored, factor);
            if (!tensor.Shape.SequenceEqual(factor.Shape.Dimensions()))
                throw new InputException($"{tensor.Path}: tensor {tensor.Name} is [{string.Join(", ", tensor.Shape)}], expected {factor.Shape}");
        }
        return new AdaptedModule(shape, options, blocks);
    }

    private SafetensorsTensor Tensor(AdapterModule stored, Factor factor) => stored.Find(factor.Name)
        ?? throw new InputException($"{_folder.Directory}: tensor {factor.Name} of {stored.Name} is missing");
}
