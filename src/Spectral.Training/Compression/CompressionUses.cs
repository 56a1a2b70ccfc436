namespace Spectral.Training.Compression;

/// <summary>The common options that a compression method reads.</summary>
[Flags]
public enum CompressionUses
{
    /// <summary>The method reads no common option.</summary>
    None = 0,

    /// <summary>The rank to keep (<see cref="CompressionOptions.Rank"/>).</summary>
    Rank = 1,

    /// <summary>The share of the change to keep (<see cref="CompressionOptions.Energy"/>).</summary>
    Energy = 2,

    /// <summary>Records to calibrate on (<see cref="CompressionOptions.Data"/>).</summary>
    Data = 4,
}
