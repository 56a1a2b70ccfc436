namespace Spectral.Training.Adapters;

/// <summary>
/// An adapted layer as the state of a run names it, with what a method may have shared out by what it found.
/// </summary>
/// <param name="Name">The layer.</param>
/// <param name="Rank">The rank it has.</param>
/// <param name="Alpha">The α it has.</param>
internal sealed record SavedLayer(string Name, int Rank, double Alpha);
