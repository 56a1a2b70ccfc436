using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// A low-rank term for each of E experts, of which a token gets as much as its gates say: y += s Σ_e π_e L_e R_e x.
/// </summary>
/// <remarks>
/// All experts are computed as one product of rank E·r, whose middle is gated. At the ranks of adapters that takes less
/// time than to sort tokens by expert, and the host does not wait for the choice.
/// </remarks>
/// <param name="left">L_1 … L_E side by side, [out, E·r].</param>
/// <param name="right">R_1 … R_E one below the other, [E·r, in].</param>
/// <param name="scale">The factor s.</param>
/// <param name="gates">Computes π.</param>
internal sealed class RoutedTerms(Expression left, Expression right, double scale, Gates gates) : TokenChange
{
    /// <inheritdoc/>
    public override IEnumerable<Expression> Expressions => [left, right, .. gates.Expressions];

    /// <summary>Whether dropout acts on the input of the low-rank products.</summary>
    public bool TakesDropout { get; init; } = true;

    /// <inheritdoc/>
    public override bool HasDropout => TakesDropout;

    /// <inheritdoc/>
    public override TopKGates? Router => gates.Router;

    /// <inheritdoc/>
    public override long Flops(int outputs, int inputs) =>
        (2L * right.Shape[0] * (outputs + inputs)) + right.Shape[0] + gates.Flops(inputs);

    /// <inheritdoc/>
    public override void Check(string module, int outputs, int inputs)
    {
        Require(module, left, outputs, right.Shape[0]);
        Require(module, right, left.Shape[1], inputs);
        if (right.Shape[0] % gates.Experts != 0)
            throw new InvalidOperationException($"{module}: {right.Shape[0]} ranks of {gates.Experts} experts");
    }

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x, Variable y)
    {
        using Variable sum = y;
        using Variable weights = gates.Apply(pass, x);
        using Variable h = ProjectNode.Apply(pass.Tape, x, right, TakesDropout ? pass.Dropout : null);
        using Variable g = GateNode.Apply(pass.Tape, h, weights);
        return WidenNode.Apply(pass.Tape, sum, g, left, scale);
    }
}
