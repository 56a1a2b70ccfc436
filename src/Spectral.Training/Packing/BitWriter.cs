namespace Spectral.Training.Packing;

/// <summary>Packs codes of 1 to 8 bits into bytes, the first code in the lowest bits.</summary>
/// <param name="bits">The number of bits of all codes together.</param>
internal sealed class BitWriter(long bits)
{
    private long _at;

    /// <summary>The packed bytes. Bits behind the last code are 0.</summary>
    public byte[] Bytes { get; } = new byte[(bits + 7) / 8];

    /// <summary>Appends a code, which fits its width.</summary>
    public void Write(int code, int width)
    {
        int shift = (int)(_at & 7);
        int placed = code << shift;
        Bytes[_at >> 3] |= (byte)placed;
        if (shift + width > 8)
            Bytes[(_at >> 3) + 1] = (byte)(placed >> 8);
        _at += width;
    }
}
