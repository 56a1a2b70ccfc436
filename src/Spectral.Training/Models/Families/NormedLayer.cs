namespace Spectral.Training.Models.Families;

/// <summary>A decoder layer of attention and a feed-forward block, each with a norm of the residual stream.</summary>
internal abstract class NormedLayer : DecoderLayer
{
    public required AttentionBlock Attention { get; init; }

    public required Norm AttentionNorm { get; init; }

    public required FeedForwardBlock FeedForward { get; init; }

    public required Norm FeedForwardNorm { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Attention.Linears, .. FeedForward.Linears];

    /// <inheritdoc/>
    public override bool NeedsBackward =>
        AttentionNorm.Trains || FeedForwardNorm.Trains || Attention.NeedsBackward || FeedForward.NeedsBackward;
}
