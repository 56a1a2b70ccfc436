using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Calibration;

/// <summary>
/// Adds the gradients of sibling layers' weights, dyᵀ x, to a sum [out, in] F32 per layer: one GEMM per layer and
/// batch, 2·N·out·in operations.
/// </summary>
/// <remarks>Rows of padding have dy = 0, because no token that carries loss depends on them.</remarks>
/// <param name="sums">One sum for each sibling layer, in order; null where none is wanted.</param>
internal sealed class GradientObserver(Tensor?[] sums) : LinearObserver
{
    public override bool SeesGradients => true;

    public override void Backward(Tensor x, ReadOnlySpan<Tensor?> gradients)
    {
        for (int i = 0; i < sums.Length; i++)
        {
            if (sums[i] is { } sum && gradients[i] is { } gradient)
                Gemm.Run(Gemm.Transposed(gradient), x, sum, 1, 1);
        }
    }
}
