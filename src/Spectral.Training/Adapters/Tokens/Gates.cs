using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>Decides how much of each expert a token gets.</summary>
internal abstract class Gates
{
    /// <summary>The number E of experts.</summary>
    public abstract int Experts { get; }

    /// <summary>The router whose load is logged; null: there is none.</summary>
    public virtual TopKGates? Router => null;

    /// <summary>All expressions that the gates read.</summary>
    public virtual IEnumerable<Expression> Expressions => [];

    /// <summary>Returns the floating point operations that the gates cost per token.</summary>
    /// <param name="inputs">The number of inputs of the layer.</param>
    public virtual long Flops(int inputs) => 0;

    /// <summary>Computes the gates, [N, E] F32.</summary>
    /// <param name="pass">The forward pass.</param>
    /// <param name="x">The layer's input [N, in], without dropout.</param>
    public abstract Variable Apply(in TokenPass pass, Variable x);
}
