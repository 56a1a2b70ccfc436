namespace Spectral.Kernels;

/// <summary>
/// Converts between single precision and bfloat16, which is kept as its 16 bits. Rounding is to nearest even, and NaN
/// stays NaN.
/// </summary>
public static class BFloat16
{
    /// <summary>Returns the value of 16 stored bits.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Returns the bits of the bfloat16 nearest to <paramref name="value"/>.</summary>
    public static ushort FromSingle(float value)
    {
        uint u = BitConverter.SingleToUInt32Bits(value);
        return (u & 0x7fffffff) > 0x7f800000 ? (ushort)0x7fff : (ushort)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }

    /// <summary>Rounds <paramref name="value"/> to bfloat16 and returns it as single precision.</summary>
    public static float Round(float value) => ToSingle(FromSingle(value));
}
