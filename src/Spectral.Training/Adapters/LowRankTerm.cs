using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters;

/// <summary>
/// One term s·L·diag(c)·R of a weight change. To use a dense middle matrix, multiply it into either side; that costs
/// once per step, not per token.
/// </summary>
/// <param name="Left">The left factor L [out, p].</param>
/// <param name="Right">The right factor R [p, in].</param>
/// <param name="Scale">The constant scale s.</param>
public sealed record LowRankTerm(Expression Left, Expression Right, double Scale = 1)
{
    /// <summary>The diagonal c [p]; null: all ones.</summary>
    public Expression? Middle { get; init; }

    /// <summary>The rank p of the term.</summary>
    public int Rank => Right.Shape[0];
}
