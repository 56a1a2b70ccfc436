namespace Spectral.Training.Spectra;

/// <summary>Frobenius norms.</summary>
/// <param name="Base">‖W0‖.</param>
/// <param name="Tuned">‖W1‖.</param>
/// <param name="Change">‖Δ‖.</param>
/// <param name="Relative">‖Δ‖ / ‖W0‖.</param>
public sealed record MatrixNorms(double Base, double Tuned, double Change, double Relative);
