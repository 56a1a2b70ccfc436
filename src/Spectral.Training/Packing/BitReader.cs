namespace Spectral.Training.Packing;

/// <summary>Reads what a <see cref="BitWriter"/> wrote.</summary>
/// <param name="bytes">The packed bytes.</param>
internal ref struct BitReader(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private long _at;

    /// <summary>Returns the next code of a width.</summary>
    public int Read(int width)
    {
        int first = (int)(_at >> 3);
        int shift = (int)(_at & 7);
        int code = _bytes[first] >> shift;
        if (shift + width > 8)
            code |= _bytes[first + 1] << (8 - shift);
        _at += width;
        return code & ((1 << width) - 1);
    }
}
