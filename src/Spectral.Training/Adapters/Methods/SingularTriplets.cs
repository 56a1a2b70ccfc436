using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>The singular triplets of the weights of many layers, as the spectral methods start from them.</summary>
internal static class SingularTriplets
{
    // Enough layers of one shape for a batch, few enough that their triplets beside the adapter's own copy do not matter.
    private const int ModulesAtOnce = 64;

    /// <summary>Hands over the leading U [out, k], S [k] and Vt [k, in] of each layer; they are disposed after the call.</summary>
    /// <param name="starts">The layers.</param>
    /// <param name="count">k.</param>
    /// <param name="take">Copies what it needs.</param>
    public static void Compute(IReadOnlyList<AdapterStart> starts, Func<AdapterStart, int> count, Action<AdapterStart, SvdResult> take)
    {
        foreach (var alike in starts.GroupBy(count))
            foreach (var some in alike.Chunk(ModulesAtOnce))
            {
                var (method, seed) = (some[0].Options.Svd, some[0].Options.Seed);
                var triplets = Svd.Compute(
                    [.. some.Select(start => start.Weight)], alike.Key, method, new RandomizedSvdOptions { Seed = seed }, [.. some.Select(start => start.Stream("spec_U"))]);
                foreach (var (start, svd) in some.Zip(triplets))
                {
                    take(start, svd);
                    svd.Dispose();
                }
            }
    }

    /// <summary>Hands over the last k triplets, in descending order. Only the exact decomposition has them: its cost is that of the whole spectrum.</summary>
    /// <inheritdoc cref="Compute"/>
    public static void ComputeLast(IReadOnlyList<AdapterStart> starts, Func<AdapterStart, int> count, Action<AdapterStart, Tensor, Tensor, Tensor> take)
    {
        foreach (var start in starts)
        {
            var (k, weight) = (count(start), start.Weight);
            using var svd = Svd.Compute(weight, Math.Min(weight.Dim(0), weight.Dim(1)), SvdMethod.Exact);
            var first = svd.S.Dim(0) - k;
            using var u = Tensor.Empty(weight.Device, (weight.Dim(0), k));
            CopyBlock.Run(new ColumnRange(svd.U, first, k), u, 0, 0);
            using var s = svd.S.Rows(first, k);
            using var vt = svd.Vt.Rows(first, k);
            take(start, u, s, vt);
        }
    }

    /// <summary>L = U √(σ/s) and R = √(σ/s) Vᵀ, so that s·L·R = U σ Vᵀ with the two sides of one size.</summary>
    public static void Split(Tensor u, Tensor s, Tensor vt, double scale, Tensor left, Tensor right)
    {
        using var root = Tensor.From(s.Device, [.. s.ToArray().Select(value => (float)Math.Sqrt(value / scale))], s.Shape);
        BroadcastMultiply.Run(u, root, left, Broadcast.PerColumn);
        BroadcastMultiply.Run(vt, root, right, Broadcast.PerRow);
    }
}
