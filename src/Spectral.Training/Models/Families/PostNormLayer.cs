using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of OLMo 2 (OLMo team, "2 OLMo 2 Furious", 2024): what attention and a gated feed-forward layer give is
/// normalised before it is added to the residual stream.
/// </summary>
internal sealed class PostNormLayer : DecoderLayer
{
    public required AttentionBlock Attention { get; init; }
    public required Parameter AttentionNorm { get; init; }
    public required FeedForwardBlock FeedForward { get; init; }
    public required Parameter FeedForwardNorm { get; init; }
    public required float Epsilon { get; init; }

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
        using Variable attended = Added(tape, x, Attention.Forward(tape, x, settings, cache), AttentionNorm);
        return Added(tape, attended, FeedForward.Forward(tape, attended, settings, cache), FeedForwardNorm);
    }

    private Variable Added(Tape tape, Variable residual, Variable branch, Parameter norm)
    {
        using (branch)
        {
            using Variable normed = RmsNormNode.Apply(tape, branch, norm, Epsilon);
            return AddNode.Apply(tape, residual, normed);
        }
    }
}
