using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The product σ ∘ δ: the change of frozen singular values σ [k] by relative changes δ [k].</summary>
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
