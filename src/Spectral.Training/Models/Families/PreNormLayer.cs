using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of Llama (Touvron et al., 2023): attention and a feed-forward layer, each after a norm and added to the
/// residual stream.
/// </summary>
internal sealed class PreNormLayer : NormedLayer
{
    /// <summary>The factor on what both add to the residual stream.</summary>
    public float Multiplier { get; init; } = 1;

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Attend(tape, x, settings, cache);
        using Variable normed = FeedForwardNorm.Apply(tape, attended, FeedForward.StrideFor(cache));
        using Variable added = ScaleNode.Apply(tape, FeedForward.Forward(tape, normed, settings, cache), Multiplier);
        return AddNode.Apply(tape, attended, added);
    }

    private Variable Attend(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        using Variable normed = AttentionNorm.Apply(tape, x, Attention.Projections.StrideFor(cache));
        using Variable added = ScaleNode.Apply(tape, Attention.Forward(tape, normed, settings, cache), Multiplier);
        return AddNode.Apply(tape, x, added);
    }
}
