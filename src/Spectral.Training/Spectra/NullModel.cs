using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The effect of random updates of the same size on the same base. It shows which numbers exceed chance: a large update
/// turns singular vectors and inflates singular values whatever its direction.
/// </summary>
/// <param name="Draws">The number of random updates of each kind.</param>
/// <param name="Comparisons">The comparisons, one for each quantity.</param>
public sealed record NullModel(int Draws, IReadOnlyList<NullComparison> Comparisons)
{
    private const int RoundingDraws = 3; // enough for a mean that varies little
    private const long BatchElements = 1L << 26; // in doubles on the host

    /// <summary>The comparison of one quantity, by its name and, if it has them, top size and range.</summary>
    internal NullComparison this[string name, int? k = null, string? bin = null] =>
        Comparisons.First(comparison => comparison.Quantity == name && comparison.K == k && comparison.Bin == bin);

    internal static NullModel Of(
        WeightPair weights,
        MatrixPair pair,
        double[] changeValues,
        IReadOnlyList<int> ranks,
        Decomposer decomposer,
        SpectraOptions options,
        CancellationToken cancellation
    )
    {
        List<(SpectraQuantity Quantity, double Value)> observed = SpectraQuantity.Of(pair, changeValues, ranks);
        if (options.Draws == 0 || changeValues[0] == 0)
            return new NullModel(0, []);
        var random = new RandomUpdates(weights.Name, pair.Update, decomposer.Device, options.Seed);
        double[][] gaussian = Draw(options.Draws, random.Gaussian);
        double[][] permuted = Draw(options.Draws, random.Permuted);
        double[][] rounding = Draw(
            RoundingDraws,
            draw =>
                NoiseFloor.Draw(
                    weights,
                    decomposer.Device,
                    options.Seed,
                    RandomStream.For($"{weights.Name}/rounding/{draw}")
                )
        );
        return new NullModel(
            options.Draws,
            [
                .. observed.Select(
                    (entry, i) =>
                        new NullComparison(
                            entry.Quantity.Name,
                            entry.Quantity.K,
                            entry.Quantity.Bin,
                            entry.Value,
                            NullStatistic.Of(gaussian, i, entry.Value),
                            NullStatistic.Of(permuted, i, entry.Value),
                            rounding.Average(draw => draw[i])
                        )
                ),
            ]
        );

        double[][] Draw(int count, Func<int, HostMatrix> update)
        {
            var drawn = new List<double[]>();
            int batch = options.IsExact(pair.Out, pair.In)
                ? 1
                : (int)Math.Clamp(BatchElements / pair.Update.Values.LongLength, 1, count);
            foreach (int[] some in Enumerable.Range(0, count).Chunk(batch))
            {
                cancellation.ThrowIfCancellationRequested();
                HostMatrix[] updates = [.. some.Select(update)];
                Triplets[] tuned = decomposer.Decompose([.. updates.Select(change => weights.Base.Plus(change))]);
                for (int i = 0; i < updates.Length; i++)
                {
                    drawn.Add([
                        .. SpectraQuantity
                            .Of(new MatrixPair(pair.Base, tuned[i], updates[i]), decomposer.Values(updates[i]), ranks)
                            .Select(entry => entry.Value),
                    ]);
                }
            }
            return [.. drawn];
        }
    }
}
