namespace Spectral.Training.Adapters;

/// <summary>The change L R of one layer as a plain LoRA with scale 1.</summary>
/// <param name="Module">The layer.</param>
/// <param name="Rank">The number of columns of L.</param>
/// <param name="Left">Computes L [out, n] for an n of at least the rank, padded with zeros.</param>
/// <param name="Right">Computes R [n, in] for an n of at least the rank, padded with zeros.</param>
internal sealed record LoraFactors(AdaptedModule Module, int Rank, Func<int, float[]> Left, Func<int, float[]> Right);
