using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Spectral.Training.IO;

/// <summary>
/// Writes safetensors files. Tensors are sorted by descending element width, then by name, so that each is aligned; the
/// header is padded so that the data begins at a multiple of 8; there are no holes. The file appears complete or not at
/// all, and the same tensors give the same bytes.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>
    /// Writes <paramref name="tensors"/> and optional metadata to <paramref name="path"/> and replaces an existing
    /// file.
    /// </summary>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or a shape is impossible.</exception>
    /// <exception cref="InvalidOperationException">
    /// A tensor wrote a number of bytes that differs from its type and shape.
    /// </exception>
    public static void Write(
        string path,
        IReadOnlyList<TensorToWrite> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        TensorToWrite[] sorted =
        [
            .. tensors
                .OrderByDescending(tensor => tensor.Type.Bits())
                .ThenBy(tensor => tensor.Name, StringComparer.Ordinal),
        ];
        byte[] header = Header(sorted, metadata);
        AtomicFile.Write(
            path,
            stream =>
            {
                Span<byte> length = stackalloc byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
                stream.Write(length);
                stream.Write(header);
                foreach (TensorToWrite tensor in sorted)
                {
                    long before = stream.Position;
                    tensor.Write(stream);
                    if (stream.Position - before != Bytes(tensor))
                    {
                        throw new InvalidOperationException(
                            $"{tensor.Name} wrote {stream.Position - before} bytes, expected {Bytes(tensor)}"
                        );
                    }
                }
            }
        );
    }

    private static byte[] Header(TensorToWrite[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (
            Utf8JsonWriter json = new(
                buffer,
                new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
            )
        )
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            HashSet<string> names = new(StringComparer.Ordinal) { "__metadata__" };
            long offset = 0;
            foreach (TensorToWrite tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                {
                    throw new ArgumentException(
                        $"the tensor name {tensor.Name} is reserved or given twice",
                        nameof(tensors)
                    );
                }

                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.HeaderName());
                json.WriteStartArray("shape");
                foreach (long dimension in tensor.Shape)
                    json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += Bytes(tensor));
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        int padding = -buffer.WrittenCount & 7;
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        if (buffer.WrittenCount > SafetensorsHeader.MaximumLength)
        {
            throw new ArgumentException(
                $"the header has {buffer.WrittenCount} bytes, more than the format allows",
                nameof(tensors)
            );
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Returns the number of bytes that a tensor takes in a file.</summary>
    internal static long Bytes(TensorToWrite tensor)
    {
        long bits = tensor.Type.Bits();
        foreach (long dimension in tensor.Shape)
        {
            bits = checked(
                bits
                * (dimension >= 0 ? dimension : throw new ArgumentException($"{tensor.Name} has a negative dimension"))
            );
        }

        return bits % 8 == 0 ? bits / 8 : throw new ArgumentException($"{tensor.Name} does not fill its last byte");
    }
}
