using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Spectral.Training.IO;

/// <summary>
/// One tensor of an open <see cref="SafetensorsFile"/>: row-major, little-endian bytes in the mapped file. Valid until
/// the file is disposed. Values that are read as numbers are checked to be finite; the raw bytes are not checked.
/// </summary>
public sealed class SafetensorsTensor
{
    // Each piece is converted and checked while it is in the cache.
    private const int Piece = 1 << 14;

    private readonly SafetensorsFile _file;
    private readonly long _offset;

    internal SafetensorsTensor(
        SafetensorsFile file,
        string name,
        StoredType type,
        long[] shape,
        long offset,
        long bytes
    )
    {
        _file = file;
        _offset = offset;
        Name = name;
        Type = type;
        Shape = shape;
        Bytes = bytes;
        Count = bytes * 8 / type.Bits();
    }

    /// <summary>
    /// Makes a tensor of computed values. Its bytes are those of the stored parts, which can only be counted.
    /// </summary>
    internal SafetensorsTensor(ComputedValues computed)
    {
        Computed = computed;
        _file = computed.Parts[0]._file;
        Name = computed.Name;
        Type = computed.Type;
        Shape = computed.Shape;
        Bytes = computed.Parts.Sum(part => part.Bytes);
        Count = Shape.Aggregate(1L, (product, dimension) => product * dimension);
    }

    private SafetensorsTensor(SafetensorsTensor stored)
        : this(stored._file, stored.Name, stored.Type, [.. stored.Shape.Reverse()], stored._offset, stored.Bytes) =>
        IsTransposed = true;

    /// <summary>What the values are computed by; null: they are stored themselves.</summary>
    internal ComputedValues? Computed { get; }

    /// <summary>Whether rows and columns are exchanged in comparison with the file.</summary>
    internal bool IsTransposed { get; }

    /// <summary>The dimensions in the file, which are those of <see cref="Slice"/> and <see cref="Data"/>.</summary>
    internal IReadOnlyList<long> StoredShape => IsTransposed ? [.. Shape.Reverse()] : Shape;

    /// <summary>
    /// Returns the matrix with rows and columns exchanged, as its values are read; its bytes stay as they are in the
    /// file. A tensor of another rank is returned as it is.
    /// </summary>
    internal SafetensorsTensor Transposed() => Shape.Count == 2 ? new SafetensorsTensor(this) : this;

    /// <summary>Returns consecutive elements as a tensor of their own, such as one expert's of all experts.</summary>
    /// <param name="name">The name of the part.</param>
    /// <param name="start">The first element.</param>
    /// <param name="shape">The dimensions of the part.</param>
    internal SafetensorsTensor Part(string name, long start, IReadOnlyList<long> shape)
    {
        int width = Type.Bits() / 8;
        long count = shape.Aggregate(1L, (product, dimension) => product * dimension);
        return new SafetensorsTensor(_file, name, Type, [.. shape], _offset + start * width, count * width);
    }

    /// <summary>The name in the file.</summary>
    public string Name { get; }

    /// <summary>The element type in the file.</summary>
    public StoredType Type { get; }

    /// <summary>The dimensions, outermost first; empty for a single value.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>The number of bytes that the tensor takes in the file.</summary>
    public long Bytes { get; }

    /// <summary>The number of elements, the product of the dimensions.</summary>
    public long Count { get; }

    /// <summary>The path of the file that holds the tensor.</summary>
    public string Path => _file.Path;

    /// <summary>
    /// All bytes, unaligned. A span is limited to 2 GB; read larger tensors in pieces with <see cref="Slice"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The tensor has 2 GB or more, or is quantised in the file, so that its values have no bytes there.
    /// </exception>
    public ReadOnlySpan<byte> Data =>
        Bytes <= int.MaxValue
            ? Slice(0, (int)Bytes)
            : throw new InvalidOperationException(
                $"{Name} has {Bytes} bytes, more than a span holds; read it with Slice"
            );

    /// <summary>Returns a piece of the bytes.</summary>
    /// <param name="start">The first byte.</param>
    /// <param name="count">The number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The piece reaches outside the tensor.</exception>
    /// <exception cref="InvalidOperationException">The tensor is quantised in the file.</exception>
    public ReadOnlySpan<byte> Slice(long start, int count)
    {
        if (Computed is not null)
            throw new InvalidOperationException($"{Name} is quantised in its file; its values have no bytes there");
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Bytes - count);
        return _file.Span(_offset + start, count);
    }

    /// <summary>Reads all elements as F32. The destination has exactly <see cref="Count"/> elements.</summary>
    /// <exception cref="InputException">
    /// The stored type is not one of F32, F16, BF16, F64, or a value is not a finite F32.
    /// </exception>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    public void ReadFloats(Span<float> destination)
    {
        if (destination.Length != Count)
        {
            throw new ArgumentException(
                $"destination has {destination.Length} elements, expected {Count}",
                nameof(destination)
            );
        }

        ReadFloats(0, destination);
    }

    /// <summary>
    /// Reads elements from <paramref name="start"/> on as F32, as many as the destination holds. F64 is rounded.
    /// </summary>
    /// <inheritdoc cref="ReadFloats(Span{float})"/>
    public void ReadFloats(long start, Span<float> destination)
    {
        if (!Type.IsFloat())
        {
            throw new InputException(
                $"{_file.Path}: tensor {InputText.Quote(Name)} is {Type.HeaderName()}, expected F32, F16, BF16 or F64"
            );
        }

        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        if (Computed is not null)
            Computed.ReadFloats(start, destination);
        else if (IsTransposed)
            ReadTransposed(start, destination);
        else
            ReadStored(start, destination);
    }

    /// <summary>Reads the part of each stored row that lies in the asked rows of the transposed matrix.</summary>
    private void ReadTransposed(long start, Span<float> destination)
    {
        if (destination.IsEmpty)
            return;
        (long rows, long columns) = (Shape[0], Shape[1]);
        long first = start / columns;
        int count = (int)((start + destination.Length - 1) / columns - first + 1);
        float[] line = ArrayPool<float>.Shared.Rent(count);
        for (long c = 0; c < columns; c++)
        {
            ReadStored(c * rows + first, line.AsSpan(0, count));
            for (int r = 0; r < count; r++)
            {
                long at = (first + r) * columns + c - start;
                if (at >= 0 && at < destination.Length)
                    destination[(int)at] = line[r];
            }
        }
        ArrayPool<float>.Shared.Return(line);
    }

    private void ReadStored(long start, Span<float> destination)
    {
        int width = Type.Bits() / 8;
        for (int done = 0; done < destination.Length; done += Piece)
        {
            Span<float> part = destination.Slice(done, Math.Min(Piece, destination.Length - done));
            Convert(Type, _file.Span(_offset + (start + done) * width, part.Length * width), part);
            int other = FiniteValues.FirstNonFinite(part);
            if (other >= 0)
            {
                throw new InputException(
                    $"{Path}: tensor {InputText.Quote(Name)} holds "
                        + $"{FiniteValues.Describe(part[other], start + done + other, StoredShape)}, expected finite "
                        + "numbers"
                );
            }
        }
    }

    /// <summary>Adds all bytes to a digest, those of the stored parts if the values are computed.</summary>
    internal void AppendTo(IncrementalHash hash)
    {
        foreach (SafetensorsTensor part in Computed?.Parts ?? [])
            part.AppendTo(hash);
        if (Computed is not null)
            return;
        const int Piece = 1 << 24;
        for (long done = 0; done < Bytes; done += Piece)
            hash.AppendData(Slice(done, (int)Math.Min(Piece, Bytes - done)));
    }

    /// <summary>Checks that all values are finite without keeping them.</summary>
    /// <inheritdoc cref="ReadFloats(Span{float})" path="/exception"/>
    public void RequireFinite()
    {
        float[] values = ArrayPool<float>.Shared.Rent(Piece);
        for (long start = 0; start < Count; start += Piece)
            ReadFloats(start, values.AsSpan(0, (int)Math.Min(Piece, Count - start)));
        ArrayPool<float>.Shared.Return(values);
    }

    /// <summary>Reads all elements as F32 into a new array.</summary>
    /// <inheritdoc cref="ReadFloats(Span{float})" path="/exception"/>
    public float[] ToFloats()
    {
        if (Count > Array.MaxLength)
        {
            throw new InputException(
                $"{_file.Path}: tensor {InputText.Quote(Name)} has {Count} elements, expected at most {Array.MaxLength}"
            );
        }

        if (!Type.IsFloat())
            ReadFloats(0, []);
        float[] values = new float[Count];
        ReadFloats(values);
        return values;
    }

    /// <summary>
    /// Returns whether another tensor has the same shape and values, whatever types they are stored in. NaN equals no
    /// value.
    /// </summary>
    /// <exception cref="InputException">A stored type is not one of F32, F16, BF16, F64.</exception>
    internal bool HasValuesOf(SafetensorsTensor other)
    {
        if (!Shape.SequenceEqual(other.Shape))
            return false;
        const int Piece = 1 << 16;
        float[] mine = new float[Piece];
        float[] others = new float[Piece];
        for (long done = 0; done < Count; done += Piece)
        {
            int count = (int)Math.Min(Piece, Count - done);
            ReadFloats(done, mine.AsSpan(0, count));
            other.ReadFloats(done, others.AsSpan(0, count));
            for (int i = 0; i < count; i++)
            {
                if (mine[i] != others[i])
                    return false;
            }
        }
        return true;
    }

    /// <summary>Reads all elements of a tensor of whole numbers into a new array.</summary>
    /// <exception cref="InputException">
    /// The stored type is not one of whole numbers, or there are too many elements.
    /// </exception>
    public long[] ToIntegers()
    {
        if (Bytes > Array.MaxLength)
        {
            throw new InputException(
                $"{_file.Path}: tensor {InputText.Quote(Name)} has {Bytes} bytes, expected at most {Array.MaxLength}"
            );
        }

        ReadOnlySpan<byte> data = Data;
        int width = Type.Bits() / 8;
        long[] values = new long[Count];
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> element = data.Slice(i * width, width);
            values[i] = Type switch
            {
                StoredType.U8 => element[0],
                StoredType.I8 => (sbyte)element[0],
                StoredType.I16 => BinaryPrimitives.ReadInt16LittleEndian(element),
                StoredType.I32 => BinaryPrimitives.ReadInt32LittleEndian(element),
                StoredType.I64 => BinaryPrimitives.ReadInt64LittleEndian(element),
                _ => throw new InputException(
                    $"{_file.Path}: tensor {InputText.Quote(Name)} is {Type.HeaderName()}, expected "
                        + "U8, I8, I16, I32 or I64"
                ),
            };
        }
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
                int done = BitConverter.IsLittleEndian ? WidenVectors(source, destination) : 0;
                for (int i = done; i < destination.Length; i++)
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

    /// <summary>Converts as many BF16 values as fill whole vectors and returns their number.</summary>
    private static int WidenVectors(ReadOnlySpan<byte> source, Span<float> destination)
    {
        int width = Vector<ushort>.Count;
        int done = 0;
        for (; done <= destination.Length - width; done += width)
        {
            var upper = Vector.AsVectorUInt16(new Vector<byte>(source.Slice(2 * done, 2 * width)));
            Vector.Widen(upper, out Vector<uint> low, out Vector<uint> high);
            Vector.AsVectorSingle(low << 16).CopyTo(destination[done..]);
            Vector.AsVectorSingle(high << 16).CopyTo(destination[(done + width / 2)..]);
        }
        return done;
    }
}
