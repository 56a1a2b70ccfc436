using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>A weight before and after tuning with its update, all decomposed.</summary>
/// <param name="Pair">The triplets of base and tuned weight.</param>
/// <param name="Change">The triplets of the update Δ.</param>
internal sealed record DecomposedPair(MatrixPair Pair, Triplets Change)
{
    public static DecomposedPair Of(WeightPair weights, Decomposer decomposer)
    {
        HostMatrix update = weights.Tuned.Plus(weights.Base, -1);
        Triplets[] triplets = decomposer.Decompose(weights.Base, weights.Tuned, update);
        return new DecomposedPair(new MatrixPair(triplets[0], triplets[1], update), triplets[2]);
    }
}
