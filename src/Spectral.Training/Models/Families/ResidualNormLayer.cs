using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of the first transformer (Vaswani et al., "Attention Is All You Need", 2017): the sum of the residual
/// stream and what attention or the feed-forward layer gives is normalised.
/// </summary>
internal sealed class ResidualNormLayer : NormedLayer
{
    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Normed(
            tape,
            x,
            Attention.Forward(tape, x, settings, cache),
            AttentionNorm,
            FeedForward.StrideFor(cache)
        );
        return Normed(tape, attended, FeedForward.Forward(tape, attended, settings, cache), FeedForwardNorm, null);
    }

    private static Variable Normed(Tape tape, Variable residual, Variable branch, Norm norm, int? stride)
    {
        using (branch)
        {
            using Variable sum = AddNode.Apply(tape, residual, branch);
            return norm.Apply(tape, sum, stride);
        }
    }
}
