using System.Text;
using Spectral.Training.IO;

namespace Spectral.Training.Gguf;

/// <summary>
/// Writes files in version 3 of GGUF, the format of ggml: metadata, the names and shapes of tensors, and their data,
/// each tensor at a multiple of 32 bytes. The file appears complete or not at all.
/// </summary>
internal static class GgufWriter
{
    /// <summary>The version of the format.</summary>
    public const uint Version = 3;

    /// <summary>What the format's offsets of data are multiples of, unless the metadata say otherwise.</summary>
    public const int Alignment = 32;

    private const int MostDimensions = 4;
    private const int LongestName = 63; // ggml keeps names in 64 bytes, the last of which is zero

    private static ReadOnlySpan<byte> Magic => "GGUF"u8;

    /// <summary>Writes a file and replaces an existing one. One piece of a tensor is in memory at a time.</summary>
    /// <exception cref="ArgumentException">A name occurs twice or is too long, or a shape is impossible.</exception>
    /// <exception cref="InputException">
    /// A value is not finite, or exceeds the range of its tensor's type.
    /// </exception>
    public static void Write(string path, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        Check(tensors);
        AtomicFile.Write(
            path,
            stream =>
            {
                using (BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true))
                    WriteHeader(writer, metadata, tensors);
                Pad(stream);
                foreach (GgufTensor tensor in tensors)
                {
                    GgufEncoder.Write(stream, tensor);
                    Pad(stream);
                }
            }
        );
    }

    private static void WriteHeader(BinaryWriter writer, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        metadata.WriteTo(writer);
        long offset = 0;
        foreach (GgufTensor tensor in tensors)
        {
            GgufMetadata.Write(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Count);
            foreach (long dimension in tensor.Shape.Reverse())
                writer.Write((ulong)dimension);
            writer.Write(tensor.Type.Code());
            writer.Write((ulong)offset);
            offset = checked(offset + Padded(tensor.Bytes));
        }
    }

    private static void Check(IReadOnlyList<GgufTensor> tensors)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (GgufTensor tensor in tensors)
        {
            if (!names.Add(tensor.Name) || Encoding.UTF8.GetByteCount(tensor.Name) > LongestName)
            {
                throw new ArgumentException(
                    $"the tensor name {tensor.Name} is given twice or longer than {LongestName} bytes",
                    nameof(tensors)
                );
            }
            bool isPossible = tensor.Shape.Count is >= 1 and <= MostDimensions && tensor.Shape.All(size => size > 0);
            if (!isPossible || (tensor.Type == GgufType.Q8 && tensor.Shape[^1] % Q8Block.Values != 0))
            {
                throw new ArgumentException(
                    $"{tensor.Name} is {tensor.Type.Name()} of shape {InputText.Shape([.. tensor.Shape])}, expected 1 "
                        + $"to {MostDimensions} positive dimensions, and rows of whole blocks",
                    nameof(tensors)
                );
            }
        }
    }

    private static void Pad(Stream stream) => stream.Write(new byte[Padded(stream.Position) - stream.Position]);

    private static long Padded(long length) => checked(length + (Alignment - 1)) / Alignment * Alignment;
}
