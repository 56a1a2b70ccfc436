namespace Spectral.Training.Compression;

/// <summary>One layer of a compressed adapter.</summary>
/// <param name="Name">The name of the module.</param>
/// <param name="Outputs">The number of rows of its weight.</param>
/// <param name="Inputs">The number of columns of its weight.</param>
/// <param name="RankBefore">The rank of its factors before.</param>
/// <param name="Rank">The rank of its factors now.</param>
/// <param name="Error">
/// The Frobenius norm of what is dropped of its change, relative to that of the change; 0 if there is no change.
/// Rounding to the stored type is not counted.
/// </param>
public sealed record CompressedLayer(string Name, int Outputs, int Inputs, int RankBefore, int Rank, double Error);
