using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Tests.Quantization;

/// <summary>
/// Quantises and reads a matrix as the formats define it: every code is tried for each element, and the values of the
/// codes come from their bits or from the paper that published them.
/// </summary>
internal sealed class QuantizedReference
{
    /// <summary>NF4: Dettmers et al., "QLoRA", 2023, appendix E.</summary>
    private static readonly double[] NormalFloat =
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

    private readonly int _columns;
    private readonly QuantizedLayout _layout;

    public QuantizedReference(float[] values, int rows, int columns, QuantizedLayout layout)
    {
        (_columns, _layout) = (columns, layout);
        double[] table = Table(layout.Format);
        double largest = layout.Format switch
        {
            WeightFormat.Fp8 => 448,
            WeightFormat.Int8 => 127,
            WeightFormat.Mxfp4 => 6,
            _ => 1,
        };
        Dictionary<(long, long), float> most = [];
        for (int i = 0; i < values.Length; i++)
            most[BlockOf(i)] = Math.Max(most.GetValueOrDefault(BlockOf(i)), Math.Abs(values[i]));
        Codes = new int[values.Length];
        Values = new float[values.Length];
        Scales = [];
        foreach (((long, long) block, float size) in most)
        {
            // a power of two such that the largest is between 4 and 8, which saturate at 6
            Scales[block] = layout.Format switch
            {
                not WeightFormat.Mxfp4 => size / (float)largest,
                _ when size == 0 => MathF.ScaleB(1, -126),
                _ => MathF.ScaleB(1, Math.Max((int)Math.Floor(Math.Log2(size)) - 2, -126)),
            };
        }

        for (int i = 0; i < values.Length; i++)
        {
            float scale = Scales[BlockOf(i)];
            float inverse = 1 / scale;
            float x = inverse switch
            {
                _ when scale == 0 => 0,
                float.PositiveInfinity => values[i] / scale,
                _ => values[i] * inverse,
            };
            Codes[i] = Nearest(x, table, layout.Format);
            Values[i] = (float)table[Codes[i]] * scale;
        }

        Assert.That(rows * columns, Is.EqualTo(values.Length));
    }

    /// <summary>Code of each element.</summary>
    public int[] Codes { get; }

    /// <summary>What the codes and scales stand for.</summary>
    public float[] Values { get; }

    /// <summary>Scale of each block, in the order in which the blocks begin.</summary>
    public Dictionary<(long Row, long Column), float> Scales { get; }

    /// <summary>The codes as bytes: the first of two in the high half.</summary>
    public byte[] Bytes()
    {
        if (_layout.Format.Bits() == 8)
            return Array.ConvertAll(Codes, code => (byte)code);
        byte[] bytes = new byte[(Codes.Length + 1) / 2];
        for (int i = 0; i < Codes.Length; i++)
            bytes[i / 2] |= (byte)(i % 2 == 0 ? Codes[i] << 4 : Codes[i]);
        return bytes;
    }

    /// <summary>The value of each code, NaN where it is none.</summary>
    public static double[] Table(WeightFormat format) =>
        format switch
        {
            WeightFormat.Nf4 => NormalFloat,
            WeightFormat.Fp4 => [.. Enumerable.Range(0, 16).Select(BitsandbytesFp4)],
            WeightFormat.Mxfp4 => [.. Enumerable.Range(0, 16).Select(code => SmallFloat(code, 2, 1, 1))],
            WeightFormat.Int8 => [.. Enumerable.Range(0, 256).Select(code => (double)(code < 128 ? code : code - 256))],
            _ =>
            [
                .. Enumerable
                    .Range(0, 256)
                    .Select(code => (code & 127) == 127 ? double.NaN : SmallFloat(code, 4, 3, 7)),
            ],
        };

    // Sign, exponent and fraction as IEEE 754 has them, but no infinities.
    private static double SmallFloat(int code, int exponentBits, int fractionBits, int bias)
    {
        int fraction = code & ((1 << fractionBits) - 1);
        int exponent = code >> fractionBits & ((1 << exponentBits) - 1);
        double size =
            exponent == 0
                ? fraction * Math.Pow(2, 1 - bias - fractionBits)
                : (1 + fraction * Math.Pow(2, -fractionBits)) * Math.Pow(2, exponent - bias);
        return code >> (exponentBits + fractionBits) == 0 ? size : -size;
    }

    // As bitsandbytes' own test of quantize_4bit derives it from the bits; over 12, so that the largest is 1. It rounds
    // each to F32.
    private static double BitsandbytesFp4(int code)
    {
        (int exponent, int fraction) = (code >> 1 & 3, code & 1);
        double size = exponent == 0 ? fraction * 0.0625 : Math.Pow(2, 4 - exponent) * (1 + 0.5 * fraction);
        return (float)((code < 8 ? size : -size) / 12);
    }

    private static int Nearest(float x, double[] table, WeightFormat format)
    {
        int best = -1;
        for (int code = 0; code < table.Length; code++)
        {
            if (double.IsNaN(table[code]) || (format == WeightFormat.Int8 && code == 128))
                continue;
            double distance = Math.Abs(x - table[code]);
            double found = best < 0 ? double.PositiveInfinity : Math.Abs(x - table[best]);
            if (distance < found || (distance == found && table[code] < table[best]))
                best = code;
        }

        return best;
    }

    private (long, long) BlockOf(long at) =>
        _layout.Grid.Block > 0
            ? (0, at / _layout.Grid.Block)
            : (at / _columns / _layout.Grid.TileRows, at % _columns / _layout.Grid.TileColumns);
}
