namespace Spectral.Tests.Support;

/// <summary>
/// What a matrix counts as once it is quantised, by the definitions alone: the nearest code of each number over its
/// scale, times the scale. It shares no code with the product.
/// </summary>
internal static class ReferenceQuantization
{
    private const int Block = 64;
    private const int Tile = 128;

    /// <summary>
    /// NF4 (Dettmers et al., "QLoRA", 2023, appendix E): quantiles of the normal distribution, scaled to [-1, 1].
    /// </summary>
    private static readonly float[] Nf4 =
    [
        -1.0f,
        -0.6961928009986877f,
        -0.5250730514526367f,
        -0.39491748809814453f,
        -0.28444138169288635f,
        -0.18477343022823334f,
        -0.09105003625154495f,
        0.0f,
        0.07958029955625534f,
        0.16093020141124725f,
        0.24611230194568634f,
        0.33791524171829224f,
        0.44070982933044434f,
        0.5626170039176941f,
        0.7229568362236023f,
        1.0f,
    ];

    /// <summary>FP4 as bitsandbytes has it: 12, 8, 6, 4, 3, 2 and 1/16 twelfths, zero, and their negatives.</summary>
    private static readonly float[] Fp4 =
    [
        .. new[] { 0f, 1f / 16, 2, 3, 4, 6, 8, 12 }.SelectMany(twelfths => new[] { -twelfths / 12, twelfths / 12 }),
    ];

    /// <summary>
    /// E4M3: 1 + m/8 times 2^(e−7) for exponents 1 to 15, m/8 times 2^−6 for 0; 15 with m = 7 is NaN.
    /// </summary>
    private static readonly float[] E4M3 =
    [
        .. Enumerable
            .Range(0, 127)
            .Select(code => (Exponent: code / 8, Mantissa: code % 8))
            .Select(code =>
                (float)(
                    code.Exponent == 0
                        ? code.Mantissa / 8.0 * Math.Pow(2, -6)
                        : (1 + (code.Mantissa / 8.0)) * Math.Pow(2, code.Exponent - 7)
                )
            )
            .SelectMany(value => new[] { -value, value }),
    ];

    /// <summary>
    /// Returns the values that a matrix [rows, columns] counts as in a format of <c>--quantize</c>: nf4 and fp4 in
    /// blocks of 64 along the flattened matrix, int8 by rows, fp8 by tiles of 128 × 128.
    /// </summary>
    public static float[] Round(float[] values, int columns, string format) =>
        format switch
        {
            "nf4" => Scaled(values, i => i / Block, 1, Nf4),
            "fp4" => Scaled(values, i => i / Block, 1, Fp4),
            "int8" => Scaled(
                values,
                i => i / columns,
                127,
                [.. Enumerable.Range(-127, 255).Select(code => (float)code)]
            ),
            "fp8" => Scaled(
                values,
                i => (i / columns / Tile * ((columns + Tile - 1) / Tile)) + (i % columns / Tile),
                448,
                E4M3
            ),
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "expected a format of --quantize"),
        };

    /// <summary>Rounds numbers over the largest of their block, which is to become the largest code.</summary>
    private static float[] Scaled(float[] values, Func<int, int> block, float largest, float[] codes)
    {
        float[] sorted = [.. codes.Order()];
        var scales = Enumerable
            .Range(0, values.Length)
            .GroupBy(block)
            .ToDictionary(group => group.Key, group => group.Max(i => Math.Abs(values[i])) / largest);
        float[] rounded = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            float scale = scales[block(i)];
            double place = scale == 0 ? 0 : values[i] * (1.0 / scale);
            rounded[i] = sorted.MinBy(code => Math.Abs(code - place)) * scale; // the lower one of two equally near
        }

        return rounded;
    }
}
