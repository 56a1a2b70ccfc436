using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;

namespace Spectral.Training.Quantization;

/// <summary>Says how a quantised weight is kept on a device.</summary>
/// <param name="Layout">The codes, and which elements share a scale.</param>
/// <param name="IsCompressed">Whether the scales are codes too.</param>
internal sealed record QuantizedForm(QuantizedLayout Layout, bool IsCompressed)
{
    /// <summary>Returns the bytes of each part of a matrix (<see cref="QuantizedMatrix.Parts"/>).</summary>
    public long[] PartBytes(Shape matrix) => QuantizedMatrix.PartBytes(matrix[0], matrix[1], Layout, IsCompressed);
}
