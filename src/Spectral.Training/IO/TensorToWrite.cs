using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Spectral.Training.IO;

/// <summary>
/// A tensor for <see cref="SafetensorsWriter"/>. Its bytes are requested only when they are written, so that a whole
/// model is never in memory twice: <paramref name="Write"/> puts exactly the row-major little-endian bytes of the
/// tensor on the stream.
/// </summary>
public sealed record TensorToWrite(string Name, StoredType Type, IReadOnlyList<long> Shape, Action<Stream> Write)
{
    /// <summary>Whether rows and columns are as in the file, even if the model has them exchanged.</summary>
    private bool IsAsStored { get; init; }

    /// <summary>
    /// Creates a tensor of F32 values that are fetched when they are written and stored as F64, F32, F16 or BF16
    /// (rounded to nearest, ties to even). Writing throws an <see cref="InputException"/> if a value is not finite or
    /// exceeds the range of the type.
    /// </summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="type">The type to store: F64, F32, F16 or BF16.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="values">Returns the values, row by row. It is called when the tensor is written.</param>
    /// <exception cref="ArgumentException">The type is none of these.</exception>
    public static TensorToWrite Floats(string name, StoredType type, IReadOnlyList<long> shape, Func<float[]> values) =>
        FloatPieces(name, type, shape, () => [values()]);

    /// <summary>Creates a tensor of F32 values that are fetched piece by piece when they are written.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="type">The type to store: F64, F32, F16 or BF16.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="pieces">
    /// Returns the values, row by row, in pieces of any length. Each is written before the next is requested.
    /// </param>
    /// <exception cref="ArgumentException">The type is none of these.</exception>
    internal static TensorToWrite FloatPieces(
        string name,
        StoredType type,
        IReadOnlyList<long> shape,
        Func<IEnumerable<ReadOnlyMemory<float>>> pieces
    )
    {
        if (!type.IsFloat())
        {
            throw new ArgumentException(
                $"{name} is to be stored as {type}, expected F64, F32, F16 or BF16",
                nameof(type)
            );
        }

        return new TensorToWrite(
            name,
            type,
            shape,
            stream =>
            {
                long start = 0;
                foreach (ReadOnlyMemory<float> piece in pieces())
                {
                    ReadOnlySpan<float> values = piece.Span;
                    if (FiniteValues.FirstNonFinite(values) is >= 0 and var at)
                    {
                        throw new InputException(
                            $"tensor {name} has come to {FiniteValues.Describe(values[at], start + at, shape)}, "
                                + "expected finite numbers"
                        );
                    }

                    WriteFloats(stream, values, type, name);
                    start += values.Length;
                }
            }
        );
    }

    /// <summary>Creates a tensor of I32 that are fetched when they are written.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="values">Returns the values, row by row. It is called when the tensor is written.</param>
    internal static TensorToWrite Integers(string name, IReadOnlyList<long> shape, Func<int[]> values) =>
        new(
            name,
            StoredType.I32,
            shape,
            stream =>
            {
                int[] all = values();
                if (!BitConverter.IsLittleEndian)
                    BinaryPrimitives.ReverseEndianness(all, all);
                stream.Write(MemoryMarshal.AsBytes(all.AsSpan()));
            }
        );

    /// <summary>
    /// Creates a tensor with the bytes of a tensor in an open file, optionally under another name. Of a quantised
    /// weight it has the values, in the type that they had before.
    /// </summary>
    /// <param name="source">The tensor to copy. Its file has to stay open until the copy is written.</param>
    /// <param name="name">The name in the new file; null: the same.</param>
    public static TensorToWrite Copy(SafetensorsTensor source, string? name = null) =>
        source.Computed is null ? Bytes(source, name ?? source.Name) : Values(source, name ?? source.Name, source.Type);

    /// <summary>Creates a tensor with the values of a tensor in an open file, which are read piece by piece.</summary>
    /// <param name="source">The tensor to read. Its file has to stay open until the values are written.</param>
    /// <param name="name">The name in the new file.</param>
    /// <param name="type">The type to store: F64, F32, F16 or BF16.</param>
    internal static TensorToWrite Values(SafetensorsTensor source, string name, StoredType type)
    {
        return FloatPieces(name, type, source.Shape, Pieces);

        IEnumerable<ReadOnlyMemory<float>> Pieces()
        {
            float[] buffer = new float[(int)Math.Min(source.Count, 1 << 20)];
            for (long done = 0; done < source.Count; done += buffer.Length)
            {
                Memory<float> piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, source.Count - done));
                source.ReadFloats(done, piece.Span);
                yield return piece;
            }
        }
    }

    private static TensorToWrite Bytes(SafetensorsTensor source, string name) =>
        new(
            name,
            source.Type,
            source.StoredShape,
            stream =>
            {
                const int Piece = 1 << 20;
                for (long done = 0; done < source.Bytes; done += Piece)
                    stream.Write(source.Slice(done, (int)Math.Min(Piece, source.Bytes - done)));
            }
        )
        {
            IsAsStored = true,
        };

    /// <summary>Returns the tensor with rows and columns in the order in which a file has those of another.</summary>
    internal TensorToWrite StoredAs(SafetensorsTensor source) =>
        source.IsTransposed && !IsAsStored ? Transposed() : this;

    /// <summary>
    /// Returns the matrix with rows and columns exchanged. All of it is in memory while it is written.
    /// </summary>
    internal TensorToWrite Transposed() =>
        this with
        {
            Shape = [Shape[1], Shape[0]],
            Write = stream =>
            {
                (int rows, int columns, int width) = ((int)Shape[0], (int)Shape[1], Type.Bits() / 8);
                using var buffer = new MemoryStream(checked(rows * columns * width));
                Write(buffer);
                ReadOnlySpan<byte> values = buffer.GetBuffer();
                byte[] line = new byte[rows * width];
                for (int c = 0; c < columns; c++)
                {
                    for (int r = 0; r < rows; r++)
                        values.Slice((r * columns + c) * width, width).CopyTo(line.AsSpan(r * width));
                    stream.Write(line);
                }
            },
        };

    /// <summary>Returns the tensor with a check for cancellation before it is written.</summary>
    internal TensorToWrite StoppedBy(CancellationToken cancellation) =>
        this with
        {
            Write = stream =>
            {
                cancellation.ThrowIfCancellationRequested();
                Write(stream);
            },
        };

    /// <summary>Returns the upper half of an F32 after rounding to nearest, ties to even. NaN stays NaN.</summary>
    public static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value)
            ? (ushort)((bits >> 16) | 0x40)
            : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void WriteFloats(Stream stream, ReadOnlySpan<float> values, StoredType type, string name)
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
                if (!TryWrite(part[i], type, buffer.AsSpan(i * width)))
                    throw TooLarge(name, values, type);
            }
            stream.Write(buffer.AsSpan(0, part.Length * width));
        }
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>Writes a finite value. Returns false if it rounds to infinity.</summary>
    private static bool TryWrite(float value, StoredType type, Span<byte> target)
    {
        switch (type)
        {
            case StoredType.F16:
                var half = (Half)value;
                BinaryPrimitives.WriteHalfLittleEndian(target, half);
                return Half.IsFinite(half);
            case StoredType.BF16:
                ushort upper = ToBFloat16(value);
                BinaryPrimitives.WriteUInt16LittleEndian(target, upper);
                return (upper & 0x7F80) != 0x7F80;
            case StoredType.F64:
                BinaryPrimitives.WriteDoubleLittleEndian(target, value);
                return true;
            default:
                BinaryPrimitives.WriteSingleLittleEndian(target, value);
                return true;
        }
    }

    private static InputException TooLarge(string name, ReadOnlySpan<float> values, StoredType type)
    {
        float largest = 0;
        foreach (float value in values)
            largest = Math.Max(largest, Math.Abs(value));
        string wider = type == StoredType.F16 ? "f32 or bf16" : "f32";
        return new InputException(
            FormattableString.Invariant($"tensor {name} has values of up to {largest:G6}, ")
                + $"more than {type.HeaderName()} holds; expected --dtype {wider}"
        );
    }
}
