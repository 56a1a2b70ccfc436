using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Settings;

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

    /// <summary>
    /// The type of numbers that are not packed: F32, F16 or BF16; null: F32 for factors, and for tensors that are
    /// stored whole the type of the base.
    /// </summary>
    public StoredType? Type { get; init; }

    /// <summary>Records to calibrate on, encoded for the base; empty: none.</summary>
    public IReadOnlyList<EncodedRecord> Data { get; init; } = [];

    /// <summary>The number of records of <see cref="Data"/> in a batch.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>Values of the method's own settings (<see cref="MethodDescription.Settings"/>).</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();
}
