namespace Spectral.Training.Spectra;

/// <summary>The number of intruder dimensions at one threshold.</summary>
/// <param name="Threshold">The threshold ε: a vector counts if its |cos| to every base vector is below it.</param>
/// <param name="Left">The number among the leading left vectors.</param>
/// <param name="Right">The number among the leading right vectors.</param>
/// <param name="LeftPositions">The positions of all left intruders in the tuned spectrum, counted from 1.</param>
/// <param name="RightPositions">The positions of all right intruders in the tuned spectrum, counted from 1.</param>
public sealed record IntruderCount(double Threshold, int Left, int Right, int[] LeftPositions, int[] RightPositions);
