namespace Spectral.Training.Quantization;

/// <summary>The values of codes that are fixed by their format, in the order of the codes.</summary>
internal static class CodeTables
{
    /// <summary>
    /// E2M1, the four-bit float of the OCP microscaling formats: a sign, two bits of exponent, one of mantissa.
    /// </summary>
    public static float[] Float4 { get; } = [.. Enumerable.Range(0, 16).Select(Float4Value)];

    /// <summary>
    /// E4M3 without infinities, the eight-bit float of OCP and NVIDIA: at most 448; codes 127 and 255 are NaN.
    /// </summary>
    public static float[] Float8 { get; } = [.. Enumerable.Range(0, 256).Select(Float8Value)];

    /// <summary>The codes of E4M3 that are NaN.</summary>
    public static ReadOnlySpan<byte> NotANumber => [127, 255];

    /// <summary>Signed bytes in two's complement.</summary>
    public static float[] Int8 { get; } = [.. Enumerable.Range(0, 256).Select(code => (float)(sbyte)code)];

    private static float Float4Value(int code) => Signed(code, signBit: 8, Value(code >> 1 & 3, code & 1, 2, bias: 1));

    private static float Float8Value(int code) =>
        (code & 127) == 127 ? float.NaN : Signed(code, signBit: 128, Value(code >> 3 & 15, code & 7, 8, bias: 7));

    // An exponent of 0 marks numbers without the leading 1.
    private static float Value(int exponent, int mantissa, int parts, int bias) =>
        exponent == 0
            ? MathF.ScaleB((float)mantissa / parts, 1 - bias)
            : MathF.ScaleB(1 + (float)mantissa / parts, exponent - bias);

    private static float Signed(int code, int signBit, float magnitude) =>
        (code & signBit) == 0 ? magnitude : -magnitude;
}
