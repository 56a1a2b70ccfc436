namespace Spectral.Training.Spectra;

/// <summary>The Frobenius norms of the base weight W0, the tuned weight W1 and their difference Δ.</summary>
/// <param name="Base">The norm ‖W0‖_F.</param>
/// <param name="Tuned">The norm ‖W1‖_F.</param>
/// <param name="Change">The norm ‖Δ‖_F.</param>
/// <param name="Relative">The ratio ‖Δ‖_F / ‖W0‖_F.</param>
public sealed record MatrixNorms(double Base, double Tuned, double Change, double Relative);
