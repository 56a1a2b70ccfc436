using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// The weight of a layer before it was quantised, for methods that take a part out of it and quantise the rest.
/// </summary>
/// <param name="device">The device of the layer.</param>
/// <param name="shape">The size of the weight, [out, in].</param>
/// <param name="stored">The weight as the model's folder has it; null on a device that computes nothing.</param>
/// <param name="quantization">The form in which the model keeps the weight.</param>
internal sealed class OriginalWeight(
    Device device,
    Shape shape,
    SafetensorsTensor? stored,
    BaseQuantization quantization
)
{
    /// <summary>Reads the weight [out, in], F32, which the caller disposes.</summary>
    public Tensor Read() =>
        stored is null ? Tensor.Empty(device, shape) : Tensor.From(device, stored.ToFloats(), shape);

    /// <summary>Quantises W as the model does. The caller disposes the result.</summary>
    public QuantizedMatrix Rounded() =>
        stored is null ? quantization.Unset([shape[0], shape[1]], device) : quantization.Read(stored, device);

    /// <summary>Quantises W − s·L·R piece by piece. The caller disposes the result.</summary>
    /// <param name="left">L [out, r], F32.</param>
    /// <param name="right">R [r, in], F32.</param>
    /// <param name="scale">The factor s.</param>
    public QuantizedMatrix Without(Tensor left, Tensor right, double scale)
    {
        if (stored is null)
            return quantization.Unset([shape[0], shape[1]], device);
        return quantization.Read(
            stored,
            device,
            (from, piece) =>
            {
                using Tensor rows = left.Rows(from, piece.Dim(0));
                Gemm.Run(rows, right, piece, -(float)scale, 1);
            }
        );
    }
}
