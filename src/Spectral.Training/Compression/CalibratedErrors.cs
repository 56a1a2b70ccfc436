namespace Spectral.Training.Compression;

/// <summary>
/// What calibrated rounding gains, and what it pays for it: errors of a change W − W0 that is stored as ΔŴ, with the
/// inputs X that a layer has on the calibration records.
/// </summary>
/// <param name="Outputs">
/// The error of the outputs, ‖X (W − W0 − ΔŴ)ᵀ‖ / ‖X (W − W0)ᵀ‖ in the Frobenius norm: what is lost of what the change
/// adds to the outputs.
/// </param>
/// <param name="Nearest">
/// The error of the weights that the same change, rounded to the nearest levels, would have.
/// </param>
/// <param name="NearestOutputs">The error of the outputs that it would have.</param>
public sealed record CalibratedErrors(double Outputs, double Nearest, double NearestOutputs);
