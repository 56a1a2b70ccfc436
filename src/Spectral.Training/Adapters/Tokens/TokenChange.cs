using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// What an adapter adds to a layer's output, other for each token: a function of the token's input, of its place or of
/// its record. It is no change of the weight, so that it can be neither merged nor exported.
/// </summary>
/// <remarks>
/// To add a kind, derive a class that computes its part of the output from operations on the tape. The operations pass
/// gradients to the expressions; those to the factors behind them follow once per layer.
/// </remarks>
internal abstract class TokenChange
{
    /// <summary>All expressions that the change reads.</summary>
    public abstract IEnumerable<Expression> Expressions { get; }

    /// <summary>Whether the adapter's dropout acts on it.</summary>
    public virtual bool HasDropout => false;

    /// <summary>The router whose load is logged; null: there is none.</summary>
    public virtual TopKGates? Router => null;

    /// <summary>Returns the floating point operations that it costs per token.</summary>
    /// <param name="outputs">The number of outputs of the layer.</param>
    /// <param name="inputs">The number of inputs of the layer.</param>
    public abstract long Flops(int outputs, int inputs);

    /// <summary>Checks that the shapes of the expressions fit a layer.</summary>
    /// <param name="module">The layer's name, for messages.</param>
    /// <param name="outputs">The number of outputs of the layer.</param>
    /// <param name="inputs">The number of inputs of the layer.</param>
    /// <exception cref="InvalidOperationException">A shape does not fit.</exception>
    public abstract void Check(string module, int outputs, int inputs);

    /// <summary>Adds the change to a layer's output.</summary>
    /// <param name="pass">The forward pass.</param>
    /// <param name="x">The layer's input [N, in].</param>
    /// <param name="y">The layer's output [N, out] without the change. It is disposed, and its memory reused.</param>
    /// <returns>The output with the change, [N, out].</returns>
    public abstract Variable Apply(in TokenPass pass, Variable x, Variable y);

    /// <summary>Checks the shape of a matrix.</summary>
    /// <exception cref="InvalidOperationException">It is another one.</exception>
    private protected static void Require(string module, Expression matrix, int rows, int columns)
    {
        if (matrix.Shape.Rank != 2 || matrix.Shape[0] != rows || matrix.Shape[1] != columns)
        {
            throw new InvalidOperationException(
                $"{module}: a part of the change is {matrix.Shape}, expected [{rows}, {columns}]"
            );
        }
    }
}
