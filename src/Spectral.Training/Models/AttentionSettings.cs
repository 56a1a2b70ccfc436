using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>The sizes and tables of an attention layer.</summary>
/// <param name="Batch">The number of rows in the batch, B.</param>
/// <param name="Length">The number of positions per row, S.</param>
/// <param name="Heads">The number of query heads, H.</param>
/// <param name="KeyValueHeads">
/// The number of key/value heads. Query head j reads key/value head ⌊j·KeyValueHeads/Heads⌋.
/// </param>
/// <param name="HeadSize">The number of features per head, hd.</param>
/// <param name="Window">The sliding window in positions; 0: none.</param>
/// <param name="Queries">By what queries turn, at least S positions.</param>
/// <param name="Keys">By what keys turn, at least S positions.</param>
public readonly record struct AttentionSettings(
    int Batch,
    int Length,
    int Heads,
    int KeyValueHeads,
    int HeadSize,
    int Window,
    RotaryTable Queries,
    RotaryTable Keys
)
{
    /// <summary>The soft cap c of the scores, which brings each score s to c·tanh(s/c); 0: none.</summary>
    public float SoftCap { get; init; }

    /// <summary>
    /// For each position the first position of its record in the row, and the one after its last, [B·S, 2] I32. Queries
    /// see keys of their own record, whose positions begin at 0. Null: a row is one record.
    /// </summary>
    public Tensor? Spans { get; init; }

    /// <summary>Whether queries see the keys after them too, as in an encoder.</summary>
    public bool SeesAhead { get; init; }

    /// <summary>The virtual tokens that are among the positions but not in the layer's input; null: none.</summary>
    internal KeyValuePrefix? Prefix { get; init; }

    /// <summary>The loss that balances the load of experts; null: there is none.</summary>
    internal RouterBalance? Balance { get; init; }
}
