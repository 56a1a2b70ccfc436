namespace Spectral.Training.Spectra;

/// <summary>The Frobenius norms of the base weight W0, the tuned weight W1 and their difference Δ.</summary>
/// <param name="Base">Frobenius norm ‖W0‖_F of the base weight.</param>
/// <param name="Tuned">Frobenius norm ‖W1‖_F of the tuned weight.</param>
/// <param name="Change">Frobenius norm ‖Δ‖_F of the update.</param>
/// <param name="Relative">The ratio ‖Δ‖_F / ‖W0‖_F.</param>
public sealed record MatrixNorms(double Base, double Tuned, double Change, double Relative);
