namespace Spectral.Training.Spectra;

/// <summary>A weight of which the principal part of the update was kept.</summary>
/// <param name="Name">The name of the weight's tensor.</param>
/// <param name="Rank">The number of triplets kept.</param>
/// <param name="Energy">The share of ‖Δ‖_F² that they hold.</param>
/// <param name="Removed">The Frobenius norm of what was left out.</param>
public sealed record PrincipalMatrix(string Name, int Rank, double Energy, double Removed);
