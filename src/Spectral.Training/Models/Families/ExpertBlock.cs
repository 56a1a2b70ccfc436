using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// A mixture of experts: a router sends each token to some of many gated feed-forward layers, whose outputs are summed
/// with the router's weights (Shazeer et al., "Outrageously Large Neural Networks", 2017). The products have as many
/// rows as tokens go to experts; an expert without tokens costs nothing.
/// </summary>
internal sealed class ExpertBlock : FeedForwardBlock
{
    private readonly Linear[] _linears;
    private readonly GatedBlock[] _experts;

    /// <summary>Joins a router and its experts.</summary>
    /// <param name="settings">How tokens are spread over the experts.</param>
    /// <param name="router">The layer that computes a logit for each expert.</param>
    /// <param name="experts">The experts, in the order of the logits.</param>
    public ExpertBlock(ExpertsConfig settings, Linear router, IReadOnlyList<GatedBlock> experts)
    {
        (Settings, Router, _experts) = (settings, router, [.. experts]);
        _linears = [router, .. experts.SelectMany(expert => expert.Linears)];
        foreach (Linear linear in _linears.Skip(1))
            linear.Siblings.ReadsAllTokens = false;
    }

    /// <summary>How tokens are spread over the experts.</summary>
    public ExpertsConfig Settings { get; }

    /// <summary>The layer that computes a logit for each expert.</summary>
    public Linear Router { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => _linears;

    /// <summary>Returns the number of inputs: rows are gathered before an expert reads them.</summary>
    public override int StrideFor(LayerCache? cache) => Router.In;

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        using Variable logits = LinearNode.Apply(tape, x, Router);
        (Variable weights, ExpertOrder order) = RouterNode.Apply(tape, logits, Settings, settings.Balance);
        using (weights)
        using (order)
        {
            Variable[] inputs = ExpertGatherNode.Apply(tape, x, order);
            var outputs = new Variable[inputs.Length];
            for (int i = 0; i < inputs.Length; i++)
            {
                using Variable input = inputs[i];
                outputs[i] = _experts[order.Parts[i].Expert].Forward(tape, input, settings, cache);
            }
            Variable sum = ExpertCombineNode.Apply(tape, order, outputs, weights);
            foreach (Variable output in outputs)
                output.Dispose();
            return sum;
        }
    }
}
