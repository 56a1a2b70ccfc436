using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The sizes of A [tall, wide] and B [high, broad] whose Kronecker product A ⊗ B is [tall·high, wide·broad]. A sum of
/// such products is, with its elements in another order, a matrix [tall·wide, high·broad] of as low a rank (Van Loan
/// and Pitsianis, 1993).
/// </summary>
internal readonly record struct Kronecker(int Tall, int Wide, int High, int Broad)
{
    /// <summary>The shape of the rearranged matrix.</summary>
    public Shape Rearranged => (Tall * Wide, High * Broad);

    /// <summary>The dimensions of a matrix in the order of its rows and columns.</summary>
    public Shape Parts => (Tall, High, Wide, Broad);

    /// <summary>
    /// Returns LoKr's sizes of a layer: the pairs of divisors with the smallest sums and the first at most a factor.
    /// </summary>
    /// <param name="layer">The layer with its sizes.</param>
    /// <param name="factor">The largest first divisor; −1: no limit.</param>
    public static Kronecker Of(ModuleShape layer, int factor)
    {
        ((int tall, int high), (int wide, int broad)) = (Factorize(layer.Out, factor), Factorize(layer.In, factor));
        return new Kronecker(tall, wide, high, broad);
    }

    /// <summary>Returns the matrix [tall·high, wide·broad] of a rearranged one.</summary>
    public Expression Restore(Expression rearranged) =>
        rearranged.Reshape((Tall, Wide, High, Broad)).Permute(0, 2, 1, 3).Reshape((Tall * High, Wide * Broad));

    /// <summary>
    /// Returns the pair of divisors of a size with the smallest sum and the first at most the factor; the factor itself
    /// if it divides.
    /// </summary>
    internal static (int First, int Second) Factorize(int size, int factor)
    {
        if (factor > 0 && size % factor == 0)
            return (factor, size / factor);
        int first = 1;
        for (int next = 2; next * next <= size && (factor < 0 || next <= factor); next++)
        {
            if (size % next == 0)
                first = next;
        }

        return (first, size / first);
    }
}
