namespace Spectral.Training.Spectra;

/// <summary>
/// The share of the update's leading r vectors that lies in the base's leading k-dimensional subspace: ‖U_kᵀ U_Δ,r‖_F²
/// / r.
/// </summary>
/// <param name="K">The dimension k of the subspace.</param>
/// <param name="Left">The share of the left vectors.</param>
/// <param name="RandomLeft">The average share of random vectors, k / out.</param>
/// <param name="Right">The share of the right vectors.</param>
/// <param name="RandomRight">The average share of random vectors, k / in.</param>
public sealed record UpdateAlignment(int K, double Left, double RandomLeft, double Right, double RandomRight);
