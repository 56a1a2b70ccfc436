namespace Spectral.Training.Spectra;

/// <summary>A cluster of neighbouring triplets whose base values are closer than ‖Δ‖₂ to each other.</summary>
/// <param name="First">The position of the first triplet, counted from 1.</param>
/// <param name="Last">The position of the last triplet, counted from 1.</param>
/// <param name="LeftSimilarity">
/// The mean squared cosine of the principal angles between the spans of the left vectors.
/// </param>
/// <param name="RightSimilarity">
/// The mean squared cosine of the principal angles between the spans of the right vectors.
/// </param>
public sealed record VectorCluster(int First, int Last, double LeftSimilarity, double RightSimilarity);
