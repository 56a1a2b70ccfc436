using Spectral.Training.IO;

namespace Spectral.Training.Compression;

/// <summary>The settings of a compression. A method refuses those that it does not read.</summary>
public sealed record CompressionOptions
{
    /// <summary>The largest rank that a layer keeps, at least 1; null: as much as the energy needs.</summary>
    public int? Rank { get; init; }

    /// <summary>
    /// The share of each layer's squared Frobenius norm to keep, above 0 and at most 1; null: the method's default,
    /// unless a rank is given.
    /// </summary>
    public double? Energy { get; init; }

    /// <summary>The type of the stored numbers: F32, F16 or BF16.</summary>
    public StoredType Type { get; init; } = StoredType.F32;
}
