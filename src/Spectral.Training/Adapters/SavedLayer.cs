namespace Spectral.Training.Adapters;

/// <summary>An adapted layer in the saved state of a run, with the rank and α that the method gave it.</summary>
/// <param name="Name">The layer's name.</param>
/// <param name="Rank">The layer's rank.</param>
/// <param name="Alpha">The layer's α.</param>
internal sealed record SavedLayer(string Name, int Rank, double Alpha);
