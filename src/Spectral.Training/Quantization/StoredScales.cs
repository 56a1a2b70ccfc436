using System.Numerics.Tensors;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Scales that are stored as floats.</summary>
/// <param name="stored">The tensor of the scales.</param>
/// <param name="divisor">What each is divided by.</param>
internal sealed class StoredScales(SafetensorsTensor stored, float divisor = 1) : WeightScales
{
    /// <inheritdoc/>
    public override void Read(long first, Span<float> destination)
    {
        stored.ReadFloats(first, destination);
        if (divisor != 1)
            TensorPrimitives.Divide(destination, divisor, destination);
    }
}
