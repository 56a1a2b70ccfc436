namespace Spectral.Training.Spectra;

/// <summary>Neighbouring triplets whose base values are closer than ‖Δ‖₂ to each other.</summary>
/// <param name="First">Position of the first, counted from 1.</param>
/// <param name="Last">Position of the last.</param>
/// <param name="LeftSimilarity">Mean squared cosine of the principal angles between the spans of the left
/// vectors.</param>
/// <param name="RightSimilarity">The same on the right.</param>
public sealed record VectorCluster(int First, int Last, double LeftSimilarity, double RightSimilarity);
