using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Calibration;

/// <summary>
/// Adds the squares of the entries of each batch's gradients dyᵀ x to a sum [out, in] F32 per layer: one GEMM and two
/// passes over the weight per layer and batch, and memory for one more gradient.
/// </summary>
/// <param name="sums">One sum for each sibling layer, in order; null where none is wanted.</param>
internal sealed class SquaredGradientObserver(Tensor?[] sums) : LinearObserver
{
    public override bool SeesGradients => true;

    public override void Backward(Tensor x, ReadOnlySpan<Tensor?> gradients)
    {
        for (int i = 0; i < sums.Length; i++)
        {
            if (sums[i] is not { } sum || gradients[i] is not { } gradient)
                continue;
            using var batch = Tensor.Empty(sum.Device, sum.Shape);
            Gemm.Run(Gemm.Transposed(gradient), x, batch);
            BroadcastMultiply.Run(batch, batch, sum, Broadcast.PerElement, accumulate: true);
        }
    }
}
