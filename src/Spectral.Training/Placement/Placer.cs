using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Placement;

/// <summary>Chooses which layers of a model get an adapter, and of which rank.</summary>
/// <example>
/// <code>
/// PlacementResult placed = Placer.Place(
///     PlacementMethods.Find("rdp"),
///     model.Config,
///     new PlacementOptions { Rank = 16 },
///     new PlacementData(model, records)
/// );
/// AdapterOptions options = new() { Rank = 16, RankPattern = placed.RankPattern };
/// using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options);
/// </code>
/// </example>
public static class Placer
{
    /// <summary>Places adapters by a method.</summary>
    /// <param name="method">The method.</param>
    /// <param name="config">The config of the model.</param>
    /// <param name="options">The settings.</param>
    /// <param name="data">The model and records, for a method that <see cref="PlacementMethod.RunsModel"/>.</param>
    /// <param name="report">Receives a line for each finished run of a search; null: not wanted.</param>
    /// <param name="cancellation">Checked between the steps of a search.</param>
    /// <exception cref="InputException">The settings do not suit the model, or its loss is not finite.</exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static PlacementResult Place(
        PlacementMethod method,
        ModelConfig config,
        PlacementOptions options,
        PlacementData? data = null,
        Action<string>? report = null,
        CancellationToken cancellation = default
    ) =>
        method.Place(
            new PlacementRun(method, config, options, data)
            {
                Report = report ?? (_ => { }),
                Cancellation = cancellation,
            }
        );
}
