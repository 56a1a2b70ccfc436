using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Spectral.Training;

/// <summary>
/// One tensor of an open <see cref="SafetensorsFile"/>: row-major, little-endian bytes in the mapped file. Valid until the file is
/// disposed of. Values are not validated: NaN and infinities are data.
/// </summary>
public sealed class SafetensorsTensor
{
    private readonly SafetensorsFile file;
    private readonly long offset;

    internal SafetensorsTensor(SafetensorsFile file, string name, StoredType type, long[] shape, long offset, long bytes)
    {
        this.file = file;
        this.offset = offset;
        Name = name;
        Type = type;
        Shape = shape;
        Bytes = bytes;
        Count = bytes * 8 / type.Bits();
    }

    /// <summary>The name in the file.</summary>
    public string Name { get; }

    /// <summary>The element type in the file.</summary>
    public StoredType Type { get; }

    /// <summary>The dimensions, outermost first; empty for a single value.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Number of bytes.</summary>
    public long Bytes { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>The path of the file that holds the tensor.</summary>
    public string Path => file.Path;

    /// <summary>All bytes, unaligned. A span reaches 2 GB: larger tensors are read in pieces by <see cref="Slice"/>.</summary>
    /// <exception cref="InvalidOperationException">The tensor has 2 GB or more.</exception>
    public ReadOnlySpan<byte> Data => Bytes <= int.MaxValue
        ? file.Span(offset, (int)Bytes)
        : throw new InvalidOperationException($"{Name} has {Bytes} bytes, more than a span holds; read it with Slice");

    /// <summary>A piece of the bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The piece reaches outside the tensor.</exception>
    public ReadOnlySpan<byte> Slice(long start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Bytes - count);
        return file.Span(offset + start, count);
    }

    /// <summary>All elements as F32; the destination has exactly <see cref="Count"/> elements.</summary>
    /// <exception cref="InputException">The stored type is not one of F32, F16, BF16, F64.</exception>
    public void ReadFloats(Span<float> destination)
    {
        if (destination.Length != Count)
            throw new ArgumentException($"destination has {destination.Length} elements, expected {Count}", nameof(destination));
        ReadFloats(0, destination);
    }

    /// <summary>Elements from <paramref name="start"/> on as F32, as many as the destination holds. F64 is rounded.</summary>
    /// <exception cref="InputException">The stored type is not one of F32, F16, BF16, F64.</exception>
    public void ReadFloats(long start, Span<float> destination)
    {
        if (!Type.IsFloat())
            throw new InputException($"{file.Path}: tensor {InputText.Quote(Name)} is {Type.HeaderName()}, expected F32, F16, BF16 or F64");
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        const int Piece = 1 << 20; // keeps the byte count of a piece inside an int for F64
        int width = Type.Bits() / 8;
        for (int done = 0; done < destination.Length; done += Piece)
        {
            Span<float> part = destination.Slice(done, Math.Min(Piece, destination.Length - done));
            Convert(Type, file.Span(offset + (start + done) * width, part.Length * width), part);
        }
    }

    /// <summary>All elements as F32 in a new array.</summary>
    public float[] ToFloats()
    {
        if (Count > Array.MaxLength)
            throw new InputException($"{file.Path}: tensor {InputText.Quote(Name)} has {Count} elements, expected at most "
                + $"{Array.MaxLength}");
        if (!Type.IsFloat())
            ReadFloats(0, []);
        float[] values = new float[Count];
        ReadFloats(values);
        return values;
    }

    private static void Convert(StoredType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (type)
        {
            case StoredType.F32 when BitConverter.IsLittleEndian:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case StoredType.F32:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = BinaryPrimitives.ReadSingleLittleEndian(source[(4 * i)..]);
                break;
            case StoredType.BF16:
                for (int i = 0; i < destination.Length; i++)
                {
                    uint upper = BinaryPrimitives.ReadUInt16LittleEndian(source[(2 * i)..]);
                    destination[i] = BitConverter.UInt32BitsToSingle(upper << 16);
                }
                break;
            case StoredType.F16:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(source[(2 * i)..]);
                break;
            default:
                for (int i = 0; i < destination.Length; i++)
                    destination[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(source[(8 * i)..]);
                break;
        }
    }
}
