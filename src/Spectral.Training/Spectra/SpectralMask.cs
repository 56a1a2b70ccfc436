using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Methods;

namespace Spectral.Training.Spectra;

/// <summary>
/// The factors by which a SpecLoRA adapter has learned to scale singular values: σ_i becomes m_i σ_i.
/// </summary>
/// <param name="Factors">The factors m_i of the leading triplets, [k].</param>
/// <param name="Changes">The changes σ_i (m_i − 1), [k].</param>
/// <param name="Mean">The mean of the factors.</param>
/// <param name="Least">The smallest factor; below 0 the direction changed its sign.</param>
/// <param name="Largest">Largest of the trained factors.</param>
public sealed record SpectralMask(double[] Factors, double[] Changes, double Mean, double Least, double Largest)
{
    /// <summary>Reads the factors of a module; null if its adapter has none.</summary>
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
