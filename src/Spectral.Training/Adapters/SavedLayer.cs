namespace Spectral.Training.Adapters;

/// <summary>An adapted layer in the saved state of a run, with the rank and α that the method gave it.</summary>
/// <param name="Name">Name of the layer in the model.</param>
/// <param name="Rank">Rank of the adapter in this layer.</param>
/// <param name="Alpha">Alpha of the adapter in this layer.</param>
/// <param name="Settings">
/// Settings of the method in this layer that training has changed; null: those of the run.
/// </param>
internal sealed record SavedLayer(
    string Name,
    int Rank,
    double Alpha,
    IReadOnlyDictionary<string, double>? Settings = null
);
