using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>One tensor that a quantised weight is written as.</summary>
/// <param name="Name">Its name after the module's, such as <c>weight.absmax</c>.</param>
/// <param name="Type">Its type in the file.</param>
/// <param name="Shape">Its dimensions in the file.</param>
/// <param name="Bytes">Takes its bytes out of the weight.</param>
internal sealed record WrittenPart(
    string Name,
    StoredType Type,
    IReadOnlyList<long> Shape,
    Func<QuantizedMatrix, byte[]> Bytes
);
