using Spectral.Training.Settings;

namespace Spectral.Training.Placement;

/// <summary>Describes one way to choose which layers of a model get an adapter, and of which rank.</summary>
/// <remarks>
/// To add a method, add one file with one subclass. A source generator finds the subclasses; the command, its list and
/// the docs follow.
/// </remarks>
public abstract class PlacementMethod : MethodDescription
{
    /// <summary>Whether the method runs the model on records, and so needs its weights.</summary>
    public virtual bool RunsModel => false;

    /// <summary>Whether the method also reads <see cref="PlacementData.Validation"/>.</summary>
    public virtual bool UsesValidation => false;

    /// <summary>
    /// Whether the method trains candidates, and so reads <see cref="PlacementOptions.Adapters"/> and
    /// <see cref="PlacementOptions.Results"/>.
    /// </summary>
    public virtual bool Searches => false;

    /// <summary>
    /// What <see cref="PlacementOptions.Budget"/> counts, with its default; null: the method has none.
    /// </summary>
    public virtual string? BudgetOf => null;

    /// <summary>What <see cref="PlacedModule.Score"/> is; null: the method has no scores.</summary>
    public virtual string? ScoreOf => null;

    /// <summary>
    /// Whether the method also chooses layers that train their bias (<see cref="PlacementResult.Biases"/>).
    /// </summary>
    public virtual bool PlacesBiases => false;

    /// <summary>Places adapters on the layers of a run.</summary>
    internal abstract PlacementResult Place(PlacementRun run);
}
