using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Attention with its four projections, of which queries and keys may be normalised before they turn with their
/// positions.
/// </summary>
internal sealed class AttentionBlock
{
    /// <summary>The projections q, k and v, in this order.</summary>
    public required Projections Projections { get; init; }

    public required Linear Output { get; init; }

    /// <summary>The norm of the queries, of each head [hd] or of all [H·hd]; null: none.</summary>
    public Norm? QueryNorm { get; init; }

    /// <summary>The norm of the keys, of each head [hd] or of all [KV·hd]; null: none.</summary>
    public Norm? KeyNorm { get; init; }

    public IReadOnlyList<Linear> Linears => [.. Projections.Layers, Output];

    /// <summary>Whether backward has to reach this block even if nothing below it trains.</summary>
    public bool NeedsBackward =>
        QueryNorm is { Trains: true }
        || KeyNorm is { Trains: true }
        || Linears.Any(linear => linear.Siblings.NeedsBackward);

    /// <summary>Computes what attention adds to the residual stream from its input [N, D].</summary>
    public Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache) =>
        Attend(tape, Projections.Apply(tape, x), settings, cache);

    /// <summary>Does the same from queries, keys and values, of which it takes ownership.</summary>
    public Variable Attend(Tape tape, Variable[] projections, in AttentionSettings settings, LayerCache? cache)
    {
        using Variable q = Normed(tape, projections[0], QueryNorm);
        using Variable k = Normed(tape, projections[1], KeyNorm);
        using Variable v = projections[2];
        using Variable mixed = (cache, settings) switch
        {
            ({ } decoding, { Length: 1 }) => decoding.Attend(settings, q, k, v),
            (_, { Prefix: { } prefix }) => prefix.Attend(tape, settings, q, k, v, cache),
            _ => AttentionNode.Apply(tape, settings, q, k, v, cache, Output.Siblings.StrideFor(cache)),
        };
        return LinearNode.Apply(tape, mixed, Output);
    }

    private static Variable Normed(Tape tape, Variable heads, Norm? norm)
    {
        if (norm is null)
            return heads;
        using (heads)
            return norm.ApplyToHeads(tape, heads);
    }
}
