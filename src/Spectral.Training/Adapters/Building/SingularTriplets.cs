using Spectral.Kernels.Linalg;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Computes the singular triplets of the weights of many layers, for spectral methods that start from them.
/// </summary>
internal static class SingularTriplets
{
    // Large enough to batch layers of one shape, small enough that their triplets take little memory beside the
    // adapter's own copy.
    private const int ModulesAtOnce = 64;

    /// <summary>
    /// Passes the leading U [out, k], S [k] and Vt [k, in] of each layer's weight to a callback. They are disposed
    /// after the call.
    /// </summary>
    /// <param name="starts">The layers with their weights and factors.</param>
    /// <param name="count">Returns the number k of triplets for a layer.</param>
    /// <param name="take">Receives the triplets and copies what it needs.</param>
    public static void Compute(
        IReadOnlyList<AdapterStart> starts,
        Func<AdapterStart, int> count,
        Action<AdapterStart, SvdResult> take
    )
    {
        foreach (IGrouping<int, AdapterStart> alike in starts.GroupBy(count))
        {
            // A weight that is divided between ranks would stay whole with all others of a batch.
            bool isSharded = starts[0].Base.IsSharded;
            foreach (AdapterStart[] some in alike.Chunk(isSharded ? 1 : ModulesAtOnce))
            {
                (SvdMethod method, ulong seed) = (some[0].Options.Svd, some[0].Options.Seed);
                SvdResult[] triplets = Svd.Compute(
                    [.. some.Select(start => start.Frozen)],
                    alike.Key,
                    method,
                    new RandomizedSvdOptions { Seed = seed },
                    [.. some.Select(start => start.Stream("spec_U"))]
                );
                foreach ((AdapterStart start, SvdResult svd) in some.Zip(triplets))
                {
                    take(start, svd);
                    svd.Dispose();
                    start.Release();
                }
            }
        }
    }

    /// <summary>
    /// Passes all triplets of each layer to a callback, with the indices of the last k in descending order of the
    /// values. Only the exact decomposition has them, so that each layer costs a whole spectrum.
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
            using SvdResult svd = Svd.Compute(start.Frozen, all, SvdMethod.Exact);
            take(start, svd, [.. Enumerable.Range(all - k, k)]);
            start.Release();
        }
    }
}
