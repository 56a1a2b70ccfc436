using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of OLMo 2 (OLMo team, "2 OLMo 2 Furious", 2024): what attention and the feed-forward layer give is
/// normalised before it is added to the residual stream.
/// </summary>
internal sealed class PostNormLayer : NormedLayer
{
    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Added(tape, x, Attention.Forward(tape, x, settings, cache), AttentionNorm);
        return Added(tape, attended, FeedForward.Forward(tape, attended, settings, cache), FeedForwardNorm);
    }

    private static Variable Added(Tape tape, Variable residual, Variable branch, Norm norm)
    {
        using (branch)
        {
            using Variable normed = norm.Apply(tape, branch);
            return AddNode.Apply(tape, residual, normed);
        }
    }
}
