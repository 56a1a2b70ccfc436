using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Methods;

namespace Spectral.Training.Spectra;

/// <summary>What a SpecLoRA adapter has learned to do to the singular values themselves: σ_i becomes m_i σ_i.</summary>
/// <param name="Factors">m_i of the leading triplets.</param>
/// <param name="Changes">σ_i (m_i − 1).</param>
/// <param name="Mean">Mean of m.</param>
/// <param name="Least">Smallest m; below 0 a direction changed its sign.</param>
/// <param name="Largest">Largest m.</param>
public sealed record SpectralMask(double[] Factors, double[] Changes, double Mean, double Least, double Largest)
{
    /// <summary>That of a module; null where its adapter has none.</summary>
    internal static SpectralMask? Of(AdapterReader adapter, AdaptedModule module)
    {
        if (adapter.Method is not SpecLoraMethod)
            return null;
        float[] deltas = adapter.Stored(module, SpecLoraMethod.Delta);
        float[] values = adapter.Stored(module, SpecLoraMethod.Sigma);
        double[] factors = [.. deltas.Select(delta => 1.0 + delta)];
        return new SpectralMask(
            factors,
            [.. values.Zip(deltas, (value, delta) => (double)value * delta)],
            factors.Average(),
            factors.Min(),
            factors.Max()
        );
    }
}
