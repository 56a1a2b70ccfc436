using System.Buffers;
using System.Buffers.Binary;
using Spectral.Training.IO;

namespace Spectral.Training.Gguf;

/// <summary>Writes F32 values as the bytes of a type of ggml, rounded to nearest.</summary>
internal static class GgufEncoder
{
    private const int Piece = 1 << 14; // a multiple of the blocks of every type

    /// <summary>Writes all values of a tensor.</summary>
    /// <exception cref="InputException">A value is not finite, or exceeds the range of the type.</exception>
    /// <exception cref="InvalidOperationException">There are more or fewer values than the shape has.</exception>
    public static void Write(Stream stream, GgufTensor tensor)
    {
        long start = 0;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(4 * Piece);
        foreach (float[] values in tensor.Pieces())
        {
            if (FiniteValues.FirstNonFinite(values) is >= 0 and var at)
            {
                throw new InputException(
                    $"tensor {tensor.Name} has come to {FiniteValues.Describe(values[at], start + at, tensor.Shape)}, "
                        + "expected finite numbers"
                );
            }
            for (int done = 0; done < values.Length; done += Piece)
            {
                ReadOnlySpan<float> part = values.AsSpan(done, Math.Min(Piece, values.Length - done));
                Span<byte> bytes = buffer.AsSpan(0, (int)tensor.Type.Bytes(part.Length));
                if (!TryEncode(part, tensor.Type, bytes))
                    throw TooLarge(tensor, part);
                stream.Write(bytes);
            }
            start += values.Length;
        }
        ArrayPool<byte>.Shared.Return(buffer);
        if (start != tensor.Count)
            throw new InvalidOperationException($"{tensor.Name} has {start} values, expected {tensor.Count}");
    }

    /// <summary>Encodes finite values. Returns false if one rounds to infinity.</summary>
    private static bool TryEncode(ReadOnlySpan<float> values, GgufType type, Span<byte> bytes)
    {
        bool fits = true;
        switch (type)
        {
            case GgufType.Q8:
                for (int i = 0; i < values.Length / Q8Block.Values; i++)
                {
                    ReadOnlySpan<float> block = values.Slice(i * Q8Block.Values, Q8Block.Values);
                    fits &= Q8Block.TryWrite(block, bytes[(i * Q8Block.Bytes)..]);
                }
                return fits;
            case GgufType.F16:
                for (int i = 0; i < values.Length; i++)
                {
                    var half = (Half)values[i];
                    fits &= Half.IsFinite(half);
                    BinaryPrimitives.WriteHalfLittleEndian(bytes[(2 * i)..], half);
                }
                return fits;
            case GgufType.BF16:
                for (int i = 0; i < values.Length; i++)
                {
                    ushort upper = TensorToWrite.ToBFloat16(values[i]);
                    fits &= (upper & 0x7F80) != 0x7F80;
                    BinaryPrimitives.WriteUInt16LittleEndian(bytes[(2 * i)..], upper);
                }
                return fits;
            default:
                for (int i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteSingleLittleEndian(bytes[(4 * i)..], values[i]);
                return true;
        }
    }

    private static InputException TooLarge(GgufTensor tensor, ReadOnlySpan<float> values)
    {
        float largest = 0;
        foreach (float value in values)
            largest = Math.Max(largest, Math.Abs(value));
        return new InputException(
            FormattableString.Invariant($"tensor {tensor.Name} has values of up to {largest:G6}, ")
                + $"more than {tensor.Type.Name()} holds; expected --dtype f32 or bf16"
        );
    }
}
