namespace Spectral.Kernels;

/// <summary>Type of the elements of a <see cref="Tensor"/>.</summary>
public enum DType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    F32,

    /// <summary>bfloat16: the upper half of a single-precision number, 2 bytes.</summary>
    BF16,

    /// <summary>Signed 32-bit integer, 4 bytes: token ids and indices.</summary>
    I32,

    /// <summary>IEEE 754 double precision, 8 bytes: small factorizations.</summary>
    F64,
}

/// <summary>Gives the size and the name of an element type.</summary>
public static class DTypeExtensions
{
    /// <summary>Returns the size of one element in bytes.</summary>
    public static int Size(this DType type) =>
        type switch
        {
            DType.BF16 => 2,
            DType.F64 => 8,
            _ => 4,
        };

    /// <summary>
    /// Returns the ending of kernel names for this type: <c>f32</c>, <c>bf16</c>, <c>i32</c> or <c>f64</c>.
    /// </summary>
    public static string Suffix(this DType type) =>
        type switch
        {
            DType.F32 => "f32",
            DType.BF16 => "bf16",
            DType.I32 => "i32",
            _ => "f64",
        };
}

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
