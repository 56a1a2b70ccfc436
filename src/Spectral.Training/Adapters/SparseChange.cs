using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters;

/// <summary>A change of some entries of a weight, S[place_k] = v_k; all others are zero.</summary>
/// <param name="Places">The places of the entries, I32 (<see cref="AdapterBuilder.Places"/>).</param>
/// <param name="Values">The values v, as many as there are places.</param>
public sealed record SparseChange(Factor Places, Expression Values)
{
    /// <summary>The gradient of the whole weight, for a method that chooses places by it; null: not wanted.</summary>
    internal ObservedGradient? Whole { get; init; }

    /// <summary>The places, [n] I32.</summary>
    internal Kernels.Tensor Index => Places.Parameter.Master;
}
