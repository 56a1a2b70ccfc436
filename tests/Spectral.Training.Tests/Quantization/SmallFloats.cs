namespace Spectral.Training.Tests.Quantization;

/// <summary>
/// The values of codes by their published definitions, and the nearest code of a number, in double and plain loops.
/// </summary>
internal static class SmallFloats
{
    /// <summary>The 16 values of NF4 (Dettmers et al. 2023, appendix E), ascending.</summary>
    public static double[] Nf4 { get; } =
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ];

    /// <summary>bitsandbytes' 16 values of FP4 in the order of its codes, the largest being 1.</summary>
    public static double[] Fp4 { get; } =
    [.. new double[] { 0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3 }.Select(value => value / 12)];

    /// <summary>E2M1 of the OCP microscaling formats (v1.0, table 5), negative ones from code 8 on.</summary>
    public static double[] E2M1 { get; } = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6];

    /// <summary>E4M3 without infinities (OCP 8-bit floats v1.0): NaN for codes 127 and 255.</summary>
    public static double[] E4M3 { get; } = [.. Enumerable.Range(0, 256).Select(Value)];

    /// <summary>Returns the code whose value is nearest, the first of them.</summary>
    public static int Nearest(double[] values, double number)
    {
        int best = 0;
        for (int code = 1; code < values.Length; code++)
        {
            if (Math.Abs(values[code] - number) < Math.Abs(values[best] - number))
                best = code;
        }
        return best;
    }

    private static double Value(int code)
    {
        (int exponent, double mantissa, int sign) = (code >> 3 & 15, code & 7, code < 128 ? 1 : -1);
        if (exponent == 15 && mantissa == 7)
            return double.NaN;
        return sign * (exponent == 0 ? mantissa / 8 * Math.Pow(2, -6) : (1 + mantissa / 8) * Math.Pow(2, exponent - 7));
    }
}
