namespace Spectral.Training.Compression;

/// <summary>How far a compression is.</summary>
/// <param name="Done">The number of layers done.</param>
/// <param name="Total">The number of all layers.</param>
/// <param name="Layer">The layer that was done last.</param>
public readonly record struct CompressionProgress(int Done, int Total, string Layer);
