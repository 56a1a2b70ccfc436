namespace Spectral.Training.Spectra;

/// <summary>A weight whose intruder dimensions were scaled.</summary>
/// <param name="Name">The name of the weight's tensor.</param>
/// <param name="Positions">The positions of the intruders in the tuned spectrum, counted from 1.</param>
/// <param name="Values">The singular values of the intruders before they were scaled.</param>
/// <param name="Change">The Frobenius norm of the correction, relative to that of the update Δ.</param>
public sealed record MitigatedMatrix(string Name, int[] Positions, double[] Values, double Change);
