using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>The choices of an adapter's routers, summed over the batches of a step on the device.</summary>
internal sealed class RouterLoads : IDisposable
{
    private readonly Dictionary<TopKGates, (Tensor Counts, Tensor Probabilities)> _routers = [];
    private readonly Dictionary<TopKGates, long> _tokens = [];

    /// <summary>Adds what a router chose.</summary>
    /// <param name="router">The router.</param>
    /// <param name="probabilities">The probabilities of each token, [N, E].</param>
    /// <param name="counts">How often each expert was chosen, [1, E].</param>
    /// <param name="rows">The tokens.</param>
    public void Add(TopKGates router, Tensor probabilities, Tensor counts, TokenRows rows)
    {
        if (!_routers.TryGetValue(router, out (Tensor Counts, Tensor Probabilities) sums))
        {
            sums = (Tensor.Zeros(counts.Device, counts.Shape), Tensor.Zeros(counts.Device, counts.Shape));
            _routers.Add(router, sums);
        }
        Combine.Run(sums.Counts, 1, counts, 1, sums.Counts);
        using Tensor mask = rows.Mask.View((1, rows.Count));
        Gemm.Run(mask, probabilities, sums.Probabilities, 1, 1);
        _tokens[router] = _tokens.GetValueOrDefault(router) + rows.RealCount;
    }

    /// <summary>Forgets all choices.</summary>
    public void Clear()
    {
        foreach ((Tensor counts, Tensor probabilities) in _routers.Values)
        {
            counts.Clear();
            probabilities.Clear();
        }
        _tokens.Clear();
    }

    /// <summary>
    /// Reads the loss of each router, 1 where all experts get equally much, and the share of the choices that each
    /// expert has. Waits for the device.
    /// </summary>
    public IEnumerable<(double Loss, double[] Shares)> Read()
    {
        foreach ((TopKGates router, (Tensor counts, Tensor probabilities)) in _routers)
        {
            double tokens = _tokens.GetValueOrDefault(router);
            if (tokens == 0)
                continue;
            double[] shares = Array.ConvertAll(counts.ToArray(), count => count / (tokens * router.Chosen));
            float[] sums = probabilities.ToArray();
            yield return (router.Experts * shares.Select((share, e) => share * sums[e] / tokens).Sum(), shares);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor counts, Tensor probabilities) in _routers.Values)
        {
            counts.Dispose();
            probabilities.Dispose();
        }
        _routers.Clear();
    }
}
