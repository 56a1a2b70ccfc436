using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// Randomised matrix products in backward: the gradients of a layer's weights are computed from some of the rows of its
/// input and of its output's gradient, which are drawn anew for each layer and micro-batch. Their mean is the gradient
/// from all rows; gradients of activations are not touched.
/// </summary>
/// <param name="State">The step state with seed and number of the micro-batch.</param>
/// <param name="Share">The share of the rows that are drawn, above 0 and up to 1.</param>
internal sealed record RowSampling(StepState State, double Share)
{
    /// <summary>Draws rows of an input [N, in].</summary>
    /// <param name="x">The input.</param>
    /// <param name="stream">The number of the layer.</param>
    public RowSample Draw(Tensor x, uint stream)
    {
        int rows = x.Dim(0);
        int count = Math.Min(rows, Math.Max(1, (int)Math.Ceiling(Share * rows)));
        var index = Tensor.Empty(x.Device, count, DType.I32);
        SampleRows.Draw(State, stream, rows, index);
        Tensor input = RowSample.Of(x, index);
        Scale.Run(input, (float)((double)rows / count));
        return new RowSample(index, input);
    }
}
