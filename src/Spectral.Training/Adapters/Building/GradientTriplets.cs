using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Computes the leading singular triplets of layers' gradients, for methods that start from a gradient.
/// </summary>
internal static class GradientTriplets
{
    /// <summary>
    /// Passes U [out, k], S [k] and Vt [k, in] of each layer's gradient to a callback. They are disposed after the
    /// call.
    /// </summary>
    /// <param name="starts">The layers with their weights and factors.</param>
    /// <param name="count">Returns the number k of triplets for a layer.</param>
    /// <param name="take">Receives the triplets and copies what it needs.</param>
    /// <param name="prepare">Changes the gradient in place before it is decomposed; null: nothing is changed.</param>
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
