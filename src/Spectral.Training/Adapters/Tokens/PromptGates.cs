using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// A router that looks at the prompt of a record once: the softmax over the k largest logits of W_g x̄, x̄ the mean of
/// the layer's inputs at the prompt's tokens. All tokens of the record have its gates, those that are generated too.
/// </summary>
/// <param name="router">W_g [E, in].</param>
/// <param name="chosen">The number k of experts that a record gets.</param>
/// <param name="balance">The factor of the loss that balances the experts (<see cref="TopKGates"/>).</param>
internal sealed class PromptGates(Expression router, int chosen, double balance) : Gates
{
    private readonly TopKGates _choice = new(router, chosen, balance);

    /// <inheritdoc/>
    public override int Experts => _choice.Experts;

    /// <inheritdoc/>
    public override TopKGates? Router => _choice.Router;

    /// <inheritdoc/>
    public override IEnumerable<Expression> Expressions => _choice.Expressions;

    /// <inheritdoc/>
    public override long Flops(int inputs) => _choice.Flops(inputs);

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x)
    {
        TokenRows rows = pass.Rows;
        if (rows.Continues)
            return new Variable(rows.KeptOf(this, Experts));
        using Variable logits = ProjectNode.Apply(pass.Tape, x, router);
        using Variable ofPrompt = RecordMeanNode.Apply(pass.Tape, logits, rows.PromptMeans, rows.RecordSpread);
        Variable gates = TopKGatesNode.Apply(pass, ofPrompt, _choice);
        if (rows.IsCached)
            rows.Keep(this, gates.Value);
        return gates;
    }
}
