using Spectral.Training.IO;

namespace Spectral.Training.Tests.Quantization;

/// <summary>A quantised weight for a test folder: the tensors to write, and the values that they stand for.</summary>
internal sealed record Encoded(List<TensorToWrite> Tensors, float[] Values)
{
    public static TensorToWrite Bytes(string name, StoredType type, long[] shape, byte[] bytes) =>
        new(name, type, shape, stream => stream.Write(bytes));

    public static TensorToWrite Floats(string name, long[] shape, float[] values, StoredType type = StoredType.F32) =>
        TensorToWrite.Floats(name, type, shape, () => values);
}
