namespace Spectral.Training.Placement;

/// <summary>Which layers get what.</summary>
/// <param name="Modules">Every layer to choose from, in model order.</param>
/// <param name="Notes">What else there is to know, one line each.</param>
public sealed record PlacementResult(IReadOnlyList<PlacedModule> Modules, IReadOnlyList<string> Notes)
{
    /// <summary>The adapter method that a search chose; null: the method does not choose one.</summary>
    public string? Adapter { get; init; }

    /// <summary>The number of scalars that train, with LoRA where there is a rank.</summary>
    public long Trainable => Modules.Sum(module => module.Trainable);

    /// <summary>
    /// The full names of the layers that train their bias, in the form of
    /// <see cref="Adapters.AdapterOptions.BiasModules"/>. Layers without one are not among them.
    /// </summary>
    public IReadOnlyList<string> Biases =>
        [.. Modules.Where(module => module.TrainsBias && module.Module.HasBias).Select(module => module.Module.Name)];

    /// <summary>
    /// The ranks of all layers by full name, in the form of <see cref="Adapters.AdapterOptions.RankPattern"/>. Layers
    /// of rank 0 get no adapter.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern =>
        [.. Modules.Select(module => KeyValuePair.Create(module.Module.Name, module.Rank))];
}
