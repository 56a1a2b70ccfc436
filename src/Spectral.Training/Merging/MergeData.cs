namespace Spectral.Training.Merging;

/// <summary>The records that a merge method runs models on (<see cref="MergeOptions.Data"/>).</summary>
public enum MergeData
{
    /// <summary>The method looks at weights alone.</summary>
    None,

    /// <summary>All records together, from one list or more.</summary>
    Shared,

    /// <summary>One list for each input, in their order: records of the task that the input was tuned for.</summary>
    PerInput,
}
