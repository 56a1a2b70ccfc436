namespace Spectral.Training.Adapters;

/// <summary>The entries of a layer that a run keeps of a whole weight's change.</summary>
/// <param name="Places">The places, row · in + column, ascending and distinct.</param>
/// <param name="Values">The change of each.</param>
internal sealed record ChosenEntries(int[] Places, float[] Values);
