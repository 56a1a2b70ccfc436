using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of Gemma 2 (Gemma team, "Gemma 2", 2024): attention and a feed-forward layer, each between two norms, and
/// what the second norm gives is added to the residual stream.
/// </summary>
internal sealed class SandwichNormLayer : NormedLayer
{
    /// <summary>The norm of what attention gives.</summary>
    public required Norm AttentionOutputNorm { get; init; }

    /// <summary>The norm of what the feed-forward layer gives.</summary>
    public required Norm FeedForwardOutputNorm { get; init; }

    /// <inheritdoc/>
    public override bool NeedsBackward =>
        base.NeedsBackward || AttentionOutputNorm.Trains || FeedForwardOutputNorm.Trains;

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Attend(tape, x, settings, cache);
        using Variable normed = FeedForwardNorm.Apply(tape, attended, FeedForward.StrideFor(cache));
        using Variable fed = FeedForward.Forward(tape, normed, settings, cache);
        using Variable added = FeedForwardOutputNorm.Apply(tape, fed);
        return AddNode.Apply(tape, attended, added);
    }

    private Variable Attend(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        using Variable normed = AttentionNorm.Apply(tape, x, Attention.Projections.StrideFor(cache));
        using Variable attended = Attention.Forward(tape, normed, settings, cache);
        using Variable added = AttentionOutputNorm.Apply(tape, attended);
        return AddNode.Apply(tape, x, added);
    }
}
