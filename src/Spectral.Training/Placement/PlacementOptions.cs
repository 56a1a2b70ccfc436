using Spectral.Training.Adapters;

namespace Spectral.Training.Placement;

/// <summary>The settings of a placement. Each method documents which of them it reads.</summary>
public sealed record PlacementOptions
{
    /// <summary>The rank of a layer that gets an adapter, or the mean rank if the method distributes ranks.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>How much may be spent (<see cref="PlacementMethod.BudgetOf"/>); null: the method's default.</summary>
    public long? Budget { get; init; }

    /// <summary>The layers to choose from, as in <see cref="AdapterOptions.TargetModules"/>.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = AdapterOptions.AllProjections;

    /// <summary>The names of the adapter methods among which a search chooses.</summary>
    public IReadOnlyList<string> Adapters { get; init; } = ["lora"];

    /// <summary>
    /// The file that keeps the finished runs of a search. A search that finds them there does not repeat them. Null:
    /// they are not kept.
    /// </summary>
    public string? Results { get; init; }

    /// <summary>The method's own settings, by name, where they differ from the defaults.</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();
}
