using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>σ ∘ δ: what relative changes δ [k] of singular values σ [k], frozen, add to them.</summary>
internal sealed class SpectralChange(Expression sigma, Expression delta) : Expression(sigma.Shape, sigma, delta)
{
    /// <inheritdoc/>
    protected override void Evaluate(Tensor value) => SpectralRescale.Middle(sigma.Value, delta.Value, 1, value);

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient)
    {
        if (delta.GradientBuffer(out bool accumulate) is { } buffer)
            SpectralRescale.DeltaGradient(gradient, sigma.Value, buffer, accumulate);
    }
}
