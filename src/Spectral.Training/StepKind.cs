namespace Spectral.Training;

/// <summary>What may differ from one step to the next.</summary>
internal enum StepKind
{
    /// <summary>Everything: batches go to the device as they come.</summary>
    AsGiven,

    /// <summary>
    /// Values only: batches are copied into the same memory, losses are computed for a fixed number of rows.
    /// </summary>
    FixedShapes,

    /// <summary>As before, and from the second step on the step is one graph.</summary>
    Captured,
}
