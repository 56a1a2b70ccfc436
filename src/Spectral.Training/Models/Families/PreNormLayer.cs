using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of Llama (Touvron et al., 2023): attention and a feed-forward layer, each after an RMSNorm and added to the
/// residual stream.
/// </summary>
internal sealed class PreNormLayer : DecoderLayer
{
    public required Parameter AttentionNorm { get; init; }
    public required AttentionBlock Attention { get; init; }
    public required Parameter FeedForwardNorm { get; init; }
    public required FeedForwardBlock FeedForward { get; init; }
    public required float Epsilon { get; init; }

    /// <summary>The factor on what both add to the residual stream.</summary>
    public float Multiplier { get; init; } = 1;

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Attention.Linears, .. FeedForward.Linears];

    /// <inheritdoc/>
    public override bool NeedsBackward =>
        AttentionNorm.Trains
        || FeedForwardNorm.Trains
        || Attention.NeedsBackward
        || Linears.Any(linear => linear.Siblings.NeedsBackward);

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Attend(tape, x, settings, cache);
        int stride = FeedForward.StrideFor(cache);
        using Variable normed = RmsNormNode.Apply(tape, attended, FeedForwardNorm, Epsilon, stride);
        using Variable added = ScaleNode.Apply(tape, FeedForward.Forward(tape, normed, settings, cache), Multiplier);
        return AddNode.Apply(tape, attended, added);
    }

    private Variable Attend(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        int stride = Attention.Projections.StrideFor(cache);
        using Variable normed = RmsNormNode.Apply(tape, x, AttentionNorm, Epsilon, stride);
        using Variable added = ScaleNode.Apply(tape, Attention.Forward(tape, normed, settings, cache), Multiplier);
        return AddNode.Apply(tape, x, added);
    }
}
