namespace Spectral.Training.Models;

/// <summary>
/// Says which rows and columns of a decoder layer's weights belong to the neurons of its feed-forward layer and to its
/// heads of attention. A model computes the same with its neurons, or its heads, in another order.
/// </summary>
internal sealed record LayerUnits
{
    /// <summary>The rows that give the values of the neurons, as many as there are neurons each.</summary>
    public required IReadOnlyList<OutputRows> Neurons { get; init; }

    /// <summary>The layer whose columns read the neurons.</summary>
    public required LinearSpec NeuronReader { get; init; }

    /// <summary>The rows of the queries, head by head.</summary>
    public required OutputRows Queries { get; init; }

    /// <summary>The rows of the keys, head by head.</summary>
    public required OutputRows Keys { get; init; }

    /// <summary>The rows of the values, head by head.</summary>
    public required OutputRows Values { get; init; }

    /// <summary>The layer whose columns read the heads.</summary>
    public required LinearSpec HeadReader { get; init; }

    /// <summary>The weights of norms that have an entry for each of the rows of some; empty: there are none.</summary>
    public IReadOnlyList<(string Weight, OutputRows Rows)> Norms { get; init; } = [];
}
