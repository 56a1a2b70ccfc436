using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The leading singular triplets of layers' gradients, as the methods that start from a gradient take them.
/// </summary>
internal static class GradientTriplets
{
    /// <summary>
    /// Hands over U [out, k], S [k] and Vt [k, in] of each layer's gradient; they are disposed after the call.
    /// </summary>
    /// <param name="starts">The layers.</param>
    /// <param name="count">k.</param>
    /// <param name="take">Copies what it needs.</param>
    /// <param name="prepare">Changes the gradient before it is decomposed, in place; null: nothing.</param>
    public static void Compute(
        IReadOnlyList<AdapterStart> starts,
        Func<AdapterStart, int> count,
        Action<AdapterStart, SvdResult> take,
        Action<Tensor>? prepare = null
    )
    {
        IEnumerable<Tensor> gradients = starts[0].Calibration.Gradients([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor gradient) in starts.Zip(gradients))
        {
            using (gradient)
            {
                prepare?.Invoke(gradient);
                var options = new RandomizedSvdOptions { Seed = start.Options.Seed, Stream = start.Stream("gradient") };
                using SvdResult svd = Svd.Compute(gradient, count(start), start.Options.Svd, options);
                take(start, svd);
            }
        }
    }
}
