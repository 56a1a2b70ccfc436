using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>The codes of a quantised weight as a file has them, row by row: a byte each, or two in a byte.</summary>
/// <param name="Stored">The tensor of the codes.</param>
/// <param name="Bits">The size of a code, 4 or 8.</param>
/// <param name="FirstIsLow">Whether the first of two codes is in the lower half of their byte.</param>
internal sealed record StoredCodes(SafetensorsTensor Stored, int Bits, bool FirstIsLow = false)
{
    /// <summary>Returns the number of bytes that codes take.</summary>
    public static long BytesOf(long count, int bits) => (count * bits + 7) / 8;

    /// <summary>Looks up codes from <paramref name="start"/> on, as many as the destination holds.</summary>
    public void Decode(ReadOnlySpan<float> table, long start, Span<float> destination)
    {
        if (destination.IsEmpty)
            return;
        if (Bits == 8)
        {
            ReadOnlySpan<byte> bytes = Stored.Slice(start, destination.Length);
            for (int i = 0; i < bytes.Length; i++)
                destination[i] = table[bytes[i]];
            return;
        }

        long firstByte = start / 2;
        ReadOnlySpan<byte> pairs = Stored.Slice(firstByte, (int)((start + destination.Length - 1) / 2 - firstByte + 1));
        int parity = (int)(start % 2);
        for (int i = 0; i < destination.Length; i++)
        {
            int at = parity + i;
            bool isLow = at % 2 == 0 == FirstIsLow;
            destination[i] = table[isLow ? pairs[at / 2] & 15 : pairs[at / 2] >> 4];
        }
    }

    /// <summary>Returns the code at a place.</summary>
    public int CodeAt(long index)
    {
        if (Bits == 8)
            return Stored.Slice(index, 1)[0];
        byte pair = Stored.Slice(index / 2, 1)[0];
        return index % 2 == 0 == FirstIsLow ? pair & 15 : pair >> 4;
    }

    /// <summary>Reads bytes of codes from a byte on, the first of two codes in the upper half of its byte.</summary>
    public void Read(long start, Span<byte> destination)
    {
        Stored.Slice(start, destination.Length).CopyTo(destination);
        if (Bits != 4 || !FirstIsLow)
            return;
        foreach (ref byte pair in destination)
            pair = (byte)(pair << 4 | pair >> 4);
    }
}
