namespace Spectral.Training;

/// <summary>What may differ from one step to the next.</summary>
internal enum StepKind
{
    /// <summary>Shapes and values: batches are copied to the device as they come.</summary>
    AsGiven,

    /// <summary>
    /// Only values: batches are copied into the same memory, and losses are computed for a fixed number of rows.
    /// </summary>
    FixedShapes,

    /// <summary>
    /// Only values, as with <see cref="FixedShapes"/>, and from the second step on each step is one replayed graph.
    /// </summary>
    Captured,
}
