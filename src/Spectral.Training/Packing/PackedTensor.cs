using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>A tensor that is to be written in packed form.</summary>
/// <param name="Name">The name of the tensor that the parts stand for.</param>
/// <param name="Codec">The codec that unpacks it.</param>
/// <param name="Shape">The dimensions of the unpacked tensor, outermost first.</param>
/// <param name="Parts">The stored tensors, whose names are <see cref="Name"/> and a leaf.</param>
/// <param name="Describe">Writes the codec's own fields into the JSON object that describes the tensor.</param>
internal sealed record PackedTensor(
    string Name,
    string Codec,
    IReadOnlyList<long> Shape,
    IReadOnlyList<TensorToWrite> Parts,
    Action<Utf8JsonWriter> Describe
)
{
    /// <summary>The number of bits that the parts take.</summary>
    public long Bits => Parts.Sum(part => 8 * SafetensorsWriter.Bytes(part));

    /// <summary>Returns a part of packed codes.</summary>
    public static TensorToWrite Codes(string name, string leaf, byte[] bytes) =>
        new($"{name}.{leaf}", StoredType.U8, [bytes.Length], stream => stream.Write(bytes));

    /// <summary>Returns a part of numbers.</summary>
    public static TensorToWrite Numbers(string name, string leaf, StoredType type, long[] shape, float[] values) =>
        TensorToWrite.Floats($"{name}.{leaf}", type, shape, () => values);
}
