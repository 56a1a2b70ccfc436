using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// Gates that all tokens of a record have together: the mean over its tokens of the softmax of W_g x. A token that goes
/// on with a cache is a record of its own.
/// </summary>
/// <param name="router">W_g [E, in].</param>
internal sealed class RecordMeanGates(Expression router) : Gates
{
    private readonly TopKGates _each = new(router, router.Shape[0], balance: 0);

    /// <inheritdoc/>
    public override int Experts => _each.Experts;

    /// <inheritdoc/>
    public override IEnumerable<Expression> Expressions => _each.Expressions;

    /// <inheritdoc/>
    public override long Flops(int inputs) => _each.Flops(inputs);

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x)
    {
        using Variable each = _each.Apply(pass, x);
        return RecordMeanNode.Apply(pass.Tape, each, pass.Rows.RecordMeans, pass.Rows.RecordSpread);
    }
}
