using Spectral.Training.IO;

namespace Spectral.Training.Tests.Quantization;

/// <summary>
/// Writes weights whose scales belong to rectangles: E4M3 as DeepSeek-V3 publishes it (inference/kernel.py,
/// weight_dequant) and as compressed-tensors does, signed bytes and MXFP4 as compressed-tensors does
/// (compressors/*_quantized.py).
/// </summary>
internal static class ScaledCases
{
    public const string Tiled = """{"quant_method":"fp8","fmt":"e4m3","weight_block_size":[128,128]}""";
    public const string Whole = """{"quant_method":"fp8","activation_scheme":"static"}""";

    /// <summary>compressed-tensors' settings of a format.</summary>
    public static string Compressed(string format, string weights = "\"symmetric\":true") =>
        $"{{\"quant_method\":\"compressed-tensors\",\"format\":\"{format}\",\"ignore\":[\"lm_head\"],"
        + $"\"config_groups\":{{\"group_0\":{{\"targets\":[\"Linear\"],\"weights\":{{{weights}}}}}}}}}";

    /// <summary>E4M3 codes with a scale for each rectangle of some rows and columns.</summary>
    /// <param name="part">What the tensor of scales is called.</param>
    /// <param name="tileRows">The rows of a rectangle; 0: all.</param>
    /// <param name="tileColumns">The columns of a rectangle; 0: all.</param>
    /// <param name="shape">The shape of the scales; null: rectangles down by rectangles across.</param>
    /// <param name="type">The type of the scales.</param>
    public static Func<string, int, int, float[], Encoded> Float8(
        string part,
        int tileRows,
        int tileColumns,
        long[]? shape = null,
        StoredType type = StoredType.F32
    ) =>
        (name, rows, columns, weight) =>
            Rectangles(
                name,
                (rows, columns),
                weight,
                (tileRows == 0 ? rows : tileRows, tileColumns == 0 ? columns : tileColumns),
                (part, shape, type),
                448,
                StoredType.F8E4M3,
                value => Signed(SmallFloats.Nearest(SmallFloats.E4M3[..127], Math.Abs(value)), value),
                code => SmallFloats.E4M3[code]
            );

    /// <summary>Signed bytes with a scale for each row.</summary>
    public static Func<string, int, int, float[], Encoded> Int8(StoredType type) =>
        (name, rows, columns, weight) =>
            Rectangles(
                name,
                (rows, columns),
                weight,
                (1, columns),
                ("weight_scale", null, type),
                127,
                StoredType.I8,
                value => (byte)(sbyte)Math.Clamp(Math.Round(value), -127, 127),
                code => (sbyte)code
            );

    /// <summary>E2M1 codes, the first of two in the lower half of a byte, of 32 with a power of two.</summary>
    public static Encoded Mxfp4(string name, int rows, int columns, float[] weight)
    {
        byte[] scales = new byte[weight.Length / 32];
        byte[] codes = new byte[weight.Length / 2];
        float[] values = new float[weight.Length];
        for (int block = 0; block < scales.Length; block++)
        {
            double largest = weight.Skip(32 * block).Take(32).Max(Math.Abs);
            int exponent = (int)Math.Floor(Math.Log2(largest)) - 2;
            scales[block] = (byte)(exponent + 127);
            for (int i = 32 * block; i < 32 * (block + 1); i++)
            {
                int code = SmallFloats.Nearest(SmallFloats.E2M1, weight[i] / Math.Pow(2, exponent));
                codes[i / 2] |= (byte)(i % 2 == 0 ? code : code << 4);
                values[i] = (float)(SmallFloats.E2M1[code] * Math.Pow(2, exponent));
            }
        }
        string module = name[..^".weight".Length];
        return new Encoded(
            [
                Encoded.Bytes($"{module}.weight_packed", StoredType.U8, [rows, columns / 2], codes),
                Encoded.Bytes($"{module}.weight_scale", StoredType.U8, [rows, columns / 32], scales),
            ],
            values
        );
    }

    private static byte Signed(int code, double value) => (byte)(value < 0 ? code | 128 : code);

    private static Encoded Rectangles(
        string name,
        (int Rows, int Columns) size,
        float[] weight,
        (int Rows, int Columns) tile,
        (string Part, long[]? Shape, StoredType Type) scaled,
        double largestCode,
        StoredType codeType,
        Func<double, byte> encode,
        Func<byte, double> decode
    )
    {
        int down = (size.Rows + tile.Rows - 1) / tile.Rows;
        int across = (size.Columns + tile.Columns - 1) / tile.Columns;
        float[] scales = new float[down * across];
        for (int i = 0; i < weight.Length; i++)
        {
            ref float scale = ref scales[Tile(i)];
            scale = Math.Max(scale, Rounded(Math.Abs(weight[i]) / largestCode));
        }
        byte[] codes = new byte[weight.Length];
        float[] values = new float[weight.Length];
        for (int i = 0; i < weight.Length; i++)
        {
            float scale = scales[Tile(i)];
            codes[i] = encode(Math.Clamp(weight[i] / (double)scale, -largestCode, largestCode));
            values[i] = (float)(decode(codes[i]) * scale);
        }
        string module = name[..^".weight".Length];
        return new Encoded(
            [
                Encoded.Bytes(name, codeType, [size.Rows, size.Columns], codes),
                Encoded.Floats($"{module}.{scaled.Part}", scaled.Shape ?? [down, across], scales, scaled.Type),
                Encoded.Floats($"{module}.input_scale", [], [0.5f]),
            ],
            values
        );

        int Tile(int i) => i / size.Columns / tile.Rows * across + i % size.Columns / tile.Columns;

        // A scale is what the file has, so that no other rounding comes in.
        float Rounded(double value) =>
            scaled.Type == StoredType.F32
                ? (float)value
                : BitConverter.UInt32BitsToSingle((uint)TensorToWrite.ToBFloat16((float)value) << 16);
    }
}
