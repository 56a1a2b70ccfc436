namespace Spectral.Training.Spectra;

/// <summary>The intruders at one threshold.</summary>
/// <param name="Threshold">ε: |cos| to every base vector is below it.</param>
/// <param name="Left">Among the leading left vectors.</param>
/// <param name="Right">Among the leading right vectors.</param>
/// <param name="LeftPositions">Positions of all of them in the tuned spectrum, counted from 1.</param>
/// <param name="RightPositions">The same on the right.</param>
public sealed record IntruderCount(double Threshold, int Left, int Right, int[] LeftPositions, int[] RightPositions);
