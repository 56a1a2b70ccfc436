namespace Spectral.Kernels.Quantization;

/// <summary>Holds the value of each code, and what rounding to the nearest of them needs.</summary>
internal sealed class CodeTable
{
    // Dettmers et al., "QLoRA", 2023, appendix E.
    private static readonly float[] Nf4 =
    [
        -1f,
        -0.6961928009986877f,
        -0.5250730514526367f,
        -0.39491748809814453f,
        -0.28444138169288635f,
        -0.18477343022823334f,
        -0.09105003625154495f,
        0f,
        0.07958029955625534f,
        0.16093020141124725f,
        0.24611230194568634f,
        0.33791524171829224f,
        0.44070982933044434f,
        0.5626170039176941f,
        0.7229568362236023f,
        1f,
    ];

    // The positive half in the order of the codes, in twelfths.
    private static readonly float[] Fp4 = [0, 0.0625f, 8, 12, 4, 6, 2, 3];

    private static readonly float[] E2M1 = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];

    private CodeTable(float[] values, float largest, Func<int, bool> isMade)
    {
        (Values, Largest) = (values, largest);
        // Of two codes with one value, as of 0 and −0, the first is made.
        int[] order =
        [
            .. Enumerable
                .Range(0, values.Length)
                .Where(isMade)
                .GroupBy(code => values[code], (_, codes) => codes.First())
                .OrderBy(code => values[code]),
        ];
        Order = new byte[values.Length];
        Borders = new float[values.Length - 1];
        Array.Fill(Borders, float.PositiveInfinity);
        for (int i = 0; i < order.Length; i++)
        {
            Order[i] = (byte)order[i];
            if (i > 0)
                Borders[i - 1] = Below(((double)values[order[i - 1]] + values[order[i]]) / 2);
        }
    }

    /// <summary>Value of each code, 16 or 256 of them.</summary>
    public float[] Values { get; }

    /// <summary>Codes in the order of their values, without those that are never made.</summary>
    public byte[] Order { get; }

    /// <summary>
    /// Middles between neighbouring values, rounded down: a number is above one if and only if it is above the exact
    /// middle. Those that are missing are infinite.
    /// </summary>
    public float[] Borders { get; }

    /// <summary>Magnitude that the largest element of a block gets when it is divided by the scale.</summary>
    public float Largest { get; }

    /// <summary>Makes the table of a format, or of other values in its place.</summary>
    /// <exception cref="ArgumentException">The values are not as many as the codes, not finite or all zero.</exception>
    public static CodeTable For(WeightFormat format, ReadOnlySpan<float> values)
    {
        if (!values.IsEmpty)
            return Given(format, values);
        return format switch
        {
            WeightFormat.Nf4 => new CodeTable(Nf4, 1, _ => true),
            WeightFormat.Fp4 => new CodeTable(WithNegatives(Fp4, 12), 1, _ => true),
            WeightFormat.Mxfp4 => new CodeTable(WithNegatives(E2M1, 1), 6, _ => true),
            WeightFormat.Int8 => new CodeTable(
                [.. Enumerable.Range(0, 256).Select(code => (float)(sbyte)code)],
                127,
                code => code != 128
            ),
            _ => new CodeTable([.. Enumerable.Range(0, 256).Select(E4M3)], 448, code => (code & 127) != 127),
        };
    }

    private static CodeTable Given(WeightFormat format, ReadOnlySpan<float> values)
    {
        int count = 1 << format.Bits();
        if (values.Length != count)
        {
            throw new ArgumentException(
                $"the table has {values.Length} values, expected the {count} of {format.Name()}",
                nameof(values)
            );
        }

        float largest = 0;
        for (int code = 0; code < count; code++)
        {
            if (!float.IsFinite(values[code]))
            {
                throw new ArgumentException(
                    $"value {code} of the table is {values[code]}, expected a finite number",
                    nameof(values)
                );
            }

            largest = Math.Max(largest, Math.Abs(values[code]));
        }

        if (largest == 0)
            throw new ArgumentException("the table's values are all 0, expected one that is not", nameof(values));
        return new CodeTable(values.ToArray(), largest, _ => true);
    }

    private static float[] WithNegatives(float[] positive, float divisor) =>
        [.. positive.Select(value => value / divisor), .. positive.Select(value => -value / divisor)];

    // Sign, four bits of exponent with a bias of 7, three of fraction; the code with all ones is not a number.
    private static float E4M3(int code)
    {
        (int exponent, int fraction) = (code >> 3 & 15, code & 7);
        float size = (exponent, fraction) switch
        {
            (15, 7) => float.NaN,
            (0, _) => MathF.ScaleB(fraction, -9),
            _ => MathF.ScaleB(8 + fraction, exponent - 10),
        };
        return code < 128 ? size : -size;
    }

    // The largest F32 that is not above a number.
    private static float Below(double number)
    {
        float nearest = (float)number;
        return nearest > number ? MathF.BitDecrement(nearest) : nearest;
    }
}
