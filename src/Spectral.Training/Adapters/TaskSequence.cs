namespace Spectral.Training.Adapters;

/// <summary>How the adapter of a further task builds on that of the tasks before it.</summary>
public enum TaskSequence
{
    /// <summary>The adapter of the earlier tasks is trained further.</summary>
    OneAdapter,

    /// <summary>
    /// A new adapter is made that contains the earlier one, whose values do not train any more
    /// (<see cref="AdapterOptions.After"/>).
    /// </summary>
    KeptAdapters,

    /// <summary>
    /// The earlier adapter is folded into the weights of its base, and a new adapter is made for the result.
    /// </summary>
    FoldedBase,
}
