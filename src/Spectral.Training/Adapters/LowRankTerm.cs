using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters;

/// <summary>
/// One term s·L·diag(c)·R of a weight change. A dense middle is a product on either side: it costs once per step, not
/// per token.
/// </summary>
/// <param name="Left">L [out, p].</param>
/// <param name="Right">R [p, in].</param>
/// <param name="Scale">s, a constant.</param>
public sealed record LowRankTerm(Expression Left, Expression Right, double Scale = 1)
{
    /// <summary>c [p]; null: all ones.</summary>
    public Expression? Middle { get; init; }

    /// <summary>p.</summary>
    public int Rank => Right.Shape[0];
}
