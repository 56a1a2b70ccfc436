namespace Spectral.Kernels;

/// <summary>Element types of a <see cref="Tensor"/>.</summary>
public enum DType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    F32,

    /// <summary>bfloat16: the upper half of a single, 2 bytes.</summary>
    BF16,

    /// <summary>32-bit signed integer (token ids, indices).</summary>
    I32,

    /// <summary>IEEE 754 double precision, 8 bytes (small factorisations).</summary>
    F64,
}

/// <summary>Facts about element types.</summary>
public static class DTypeExtensions
{
    /// <summary>Bytes per element.</summary>
    public static int Size(this DType type) =>
        type switch
        {
            DType.BF16 => 2,
            DType.F64 => 8,
            _ => 4,
        };

    /// <summary>How a kernel entry for this type ends: <c>f32</c>, <c>bf16</c>, <c>i32</c>, <c>f64</c>.</summary>
    public static string Suffix(this DType type) =>
        type switch
        {
            DType.F32 => "f32",
            DType.BF16 => "bf16",
            DType.I32 => "i32",
            _ => "f64",
        };
}

/// <summary>bfloat16 as 16 raw bits, and its conversions (round to nearest even; NaN stays NaN).</summary>
public static class BFloat16
{
    /// <summary>The value of 16 stored bits.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>The 16 bits nearest to <paramref name="value"/>.</summary>
    public static ushort FromSingle(float value)
    {
        uint u = BitConverter.SingleToUInt32Bits(value);
        return (u & 0x7fffffff) > 0x7f800000 ? (ushort)0x7fff : (ushort)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }

    /// <summary><paramref name="value"/> rounded to bfloat16 and back.</summary>
    public static float Round(float value) => ToSingle(FromSingle(value));
}
