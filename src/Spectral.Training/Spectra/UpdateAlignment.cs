namespace Spectral.Training.Spectra;

/// <summary>
/// Share of the update's leading r vectors inside the base's leading k-dimensional subspace: ‖U_kᵀ U_Δ,r‖_F² / r.
/// </summary>
/// <param name="K">Dimension of the subspace.</param>
/// <param name="Left">Of the left vectors.</param>
/// <param name="RandomLeft">What random vectors have on average, k / out.</param>
/// <param name="Right">Of the right vectors.</param>
/// <param name="RandomRight">k / in.</param>
public sealed record UpdateAlignment(int K, double Left, double RandomLeft, double Right, double RandomRight);
