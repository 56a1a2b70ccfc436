namespace Spectral.Training.Merging;

/// <summary>The common options that a merge method reads.</summary>
[Flags]
public enum MergeUses
{
    /// <summary>None of the common options.</summary>
    None = 0,

    /// <summary>A weight for each input (<see cref="MergeInput.Weight"/>).</summary>
    Weights = 1,

    /// <summary>The share of entries to keep (<see cref="MergeOptions.Density"/>).</summary>
    Density = 2,

    /// <summary>The seed of random choices (<see cref="MergeOptions.Seed"/>).</summary>
    Seed = 4,
}
