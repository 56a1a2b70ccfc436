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
}
