using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Spectral.Training;

/// <summary>
/// A tensor for <see cref="SafetensorsWriter"/>. Its bytes are asked for when its turn comes, so that a whole model is never held
/// twice: <paramref name="Write"/> puts exactly the row-major little-endian bytes of the tensor on the stream.
/// </summary>
public sealed record TensorToWrite(string Name, StoredType Type, IReadOnlyList<long> Shape, Action<Stream> Write)
{
    /// <summary>F32 values fetched when they are written and stored as F32, F16 or BF16 (rounded to nearest, ties to even).</summary>
    public static TensorToWrite Floats(string name, StoredType type, IReadOnlyList<long> shape, Func<float[]> values)
    {
        if (type is not (StoredType.F32 or StoredType.F16 or StoredType.BF16))
            throw new ArgumentException($"{name} is to be stored as {type}, expected F32, F16 or BF16", nameof(type));
        return new TensorToWrite(name, type, shape, stream => WriteFloats(stream, values(), type));
    }

    /// <summary>The bytes of an open file's tensor as they are, under another name if given.</summary>
    public static TensorToWrite Copy(SafetensorsTensor source, string? name = null)
        => new(name ?? source.Name, source.Type, source.Shape, stream =>
        {
            const int Piece = 1 << 20;
            for (long done = 0; done < source.Bytes; done += Piece)
                stream.Write(source.Slice(done, (int)Math.Min(Piece, source.Bytes - done)));
        });

    /// <summary>The upper half of an F32 after rounding to nearest, ties to even. NaN stays NaN.</summary>
    public static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void WriteFloats(Stream stream, ReadOnlySpan<float> values, StoredType type)
    {
        if (type == StoredType.F32 && BitConverter.IsLittleEndian)
        {
            const int Piece = 1 << 24;
            for (int done = 0; done < values.Length; done += Piece)
                stream.Write(MemoryMarshal.AsBytes(values.Slice(done, Math.Min(Piece, values.Length - done))));
            return;
        }
        int width = type.Bits() / 8;
        const int Chunk = 1 << 14;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Chunk * width);
        for (int done = 0; done < values.Length; done += Chunk)
        {
            ReadOnlySpan<float> part = values.Slice(done, Math.Min(Chunk, values.Length - done));
            for (int i = 0; i < part.Length; i++)
            {
                Span<byte> target = buffer.AsSpan(i * width);
                if (type == StoredType.F32)
                    BinaryPrimitives.WriteSingleLittleEndian(target, part[i]);
                else if (type == StoredType.F16)
                    BinaryPrimitives.WriteHalfLittleEndian(target, (Half)part[i]);
                else
                    BinaryPrimitives.WriteUInt16LittleEndian(target, ToBFloat16(part[i]));
            }
            stream.Write(buffer.AsSpan(0, part.Length * width));
        }
        ArrayPool<byte>.Shared.Return(buffer);
    }
}
