using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// A router for each token: the softmax over its k largest logits W_g x (Shazeer et al., "Outrageously Large Neural
/// Networks", 2017).
/// </summary>
/// <param name="router">W_g [E, in].</param>
/// <param name="chosen">The number k of experts that a token gets.</param>
/// <param name="balance">
/// The factor of the loss that balances the experts, E Σ_e f_e P_e: f_e is the expert's share of the choices and P_e
/// its mean probability (Fedus et al., "Switch Transformers", 2021). 0: there is no such loss.
/// </param>
internal sealed class TopKGates(Expression router, int chosen, double balance) : Gates
{
    /// <summary>The most experts that one token can get.</summary>
    public const int MostChosen = Kernels.Ops.TopKMixture.MostChosen;

    /// <inheritdoc/>
    public override int Experts => router.Shape[0];

    /// <summary>Itself, unless every token gets all experts, so that there is nothing to balance.</summary>
    public override TopKGates? Router => chosen < Experts ? this : null;

    /// <summary>The number k of experts that a token gets.</summary>
    public int Chosen => chosen;

    /// <summary>The factor of the loss that balances the experts.</summary>
    public double Balance => balance;

    /// <inheritdoc/>
    public override IEnumerable<Expression> Expressions => [router];

    /// <inheritdoc/>
    public override long Flops(int inputs) => 2L * Experts * inputs;

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x)
    {
        using Variable logits = ProjectNode.Apply(pass.Tape, x, router);
        return TopKGatesNode.Apply(pass, logits, this);
    }
}
