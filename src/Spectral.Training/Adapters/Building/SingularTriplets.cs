using Spectral.Kernels.Linalg;

namespace Spectral.Training.Adapters.Building;

/// <summary>The singular triplets of the weights of many layers, as the spectral methods start from them.</summary>
internal static class SingularTriplets
{
    // Enough layers of one shape for a batch, few enough that their triplets beside the adapter's own copy do not
    // matter.
    private const int ModulesAtOnce = 64;

    /// <summary>
    /// Hands over the leading U [out, k], S [k] and Vt [k, in] of each layer; they are disposed after the call.
    /// </summary>
    /// <param name="starts">The layers.</param>
    /// <param name="count">k.</param>
    /// <param name="take">Copies what it needs.</param>
    public static void Compute(
        IReadOnlyList<AdapterStart> starts,
        Func<AdapterStart, int> count,
        Action<AdapterStart, SvdResult> take
    )
    {
        foreach (IGrouping<int, AdapterStart> alike in starts.GroupBy(count))
        {
            foreach (AdapterStart[] some in alike.Chunk(ModulesAtOnce))
            {
                (SvdMethod method, ulong seed) = (some[0].Options.Svd, some[0].Options.Seed);
                SvdResult[] triplets = Svd.Compute(
                    [.. some.Select(start => start.Weight)],
                    alike.Key,
                    method,
                    new RandomizedSvdOptions { Seed = seed },
                    [.. some.Select(start => start.Stream("spec_U"))]
                );
                foreach ((AdapterStart start, SvdResult svd) in some.Zip(triplets))
                {
                    take(start, svd);
                    svd.Dispose();
                }
            }
        }
    }

    /// <summary>
    /// Hands over all triplets of each layer and the places of the last k, in descending order. Only the exact
    /// decomposition has them: its cost is that of the whole spectrum.
    /// </summary>
    /// <inheritdoc cref="Compute"/>
    public static void ComputeLast(
        IReadOnlyList<AdapterStart> starts,
        Func<AdapterStart, int> count,
        Action<AdapterStart, SvdResult, int[]> take
    )
    {
        foreach (AdapterStart start in starts)
        {
            (int k, int all) = (count(start), Math.Min(start.Module.Out, start.Module.In));
            using SvdResult svd = Svd.Compute(start.Weight, all, SvdMethod.Exact);
            take(start, svd, [.. Enumerable.Range(all - k, k)]);
        }
    }
}
