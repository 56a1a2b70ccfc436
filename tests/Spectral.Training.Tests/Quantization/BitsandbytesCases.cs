using System.Globalization;
using System.Text;
using Spectral.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.Quantization;

/// <summary>
/// Writes weights as bitsandbytes does (functional.py, QuantState.as_dict with packed=True; nn/modules.py,
/// Linear8bitLt).
/// </summary>
internal static class BitsandbytesCases
{
    public const string FourBit = """{"quant_method":"bitsandbytes","load_in_4bit":true}""";
    public const string EightBit = """{"quant_method":"bitsandbytes","load_in_8bit":true}""";

    public static Encoded Nf4(string name, int rows, int columns, float[] weight) =>
        Four("nf4", 64, nested: false)(name, rows, columns, weight);

    /// <summary>4-bit codes of blocks that cross rows.</summary>
    public static Func<string, int, int, float[], Encoded> Four(string type, int block, bool nested) =>
        (name, rows, columns, weight) =>
        {
            double[] table = type == "nf4" ? SmallFloats.Nf4 : SmallFloats.Fp4;
            int blocks = (weight.Length + block - 1) / block;
            float[] absmax = new float[blocks];
            for (int i = 0; i < weight.Length; i++)
                absmax[i / block] = Math.Max(absmax[i / block], Math.Abs(weight[i]));
            int[] codes =
            [
                .. weight.Select((value, i) => SmallFloats.Nearest(table, value / (double)absmax[i / block])),
            ];
            string state =
                $"\"quant_type\": \"{type}\", \"blocksize\": {block}, \"dtype\": \"bfloat16\", "
                + $"\"shape\": [{rows}, {columns}]";
            List<TensorToWrite> tensors =
            [
                Encoded.Floats($"{name}.quant_map", [16], Array.ConvertAll(table, value => (float)value)),
            ];
            if (nested)
                state += Nest(name, absmax, tensors);
            else
                tensors.Add(Encoded.Floats($"{name}.absmax", [blocks], [.. absmax]));
            byte[] json = Encoding.UTF8.GetBytes($"{{{state}}}");
            tensors.Add(Encoded.Bytes($"{name}.quant_state.bitsandbytes__{type}", StoredType.U8, [json.Length], json));
            byte[] pairs = new byte[(weight.Length + 1) / 2];
            for (int i = 0; i < weight.Length; i++)
                pairs[i / 2] |= (byte)(i % 2 == 0 ? codes[i] << 4 : codes[i]);
            tensors.Add(Encoded.Bytes(name, StoredType.U8, [pairs.Length, 1], pairs));
            float[] values = [.. codes.Select((code, i) => (float)((double)(float)table[code] * absmax[i / block]))];
            return new Encoded(tensors, values);
        };

    /// <summary>A signed byte for each value; 127 stands for the largest of its row.</summary>
    public static Encoded Eight(string name, int rows, int columns, float[] weight)
    {
        float[] largest = new float[rows];
        for (int i = 0; i < weight.Length; i++)
            largest[i / columns] = Math.Max(largest[i / columns], Math.Abs(weight[i]));
        byte[] codes = new byte[weight.Length];
        float[] values = new float[weight.Length];
        for (int i = 0; i < weight.Length; i++)
        {
            float scale = largest[i / columns] / 127;
            int code = (int)Math.Round(127.0 * weight[i] / largest[i / columns]);
            codes[i] = (byte)(sbyte)code;
            values[i] = (float)(code * (double)scale);
        }
        string module = name[..^".weight".Length];
        return new Encoded(
            [
                Encoded.Bytes(name, StoredType.I8, [rows, columns], codes),
                Encoded.Floats($"{module}.SCB", [rows], largest),
                Encoded.Bytes($"{module}.weight_format", StoredType.U8, [], [0]),
            ],
            values
        );
    }

    // Scales less their mean, in signed dynamic codes of blocks of 256. The scales that are read back are left in
    // absmax.
    private static string Nest(string name, float[] absmax, List<TensorToWrite> tensors)
    {
        const int Block = 256;
        float[] map = DynamicCodes.Values(isSigned: true);
        float mean = (float)absmax.Average(value => (double)value);
        float[] largest = new float[(absmax.Length + Block - 1) / Block];
        for (int i = 0; i < absmax.Length; i++)
            largest[i / Block] = Math.Max(largest[i / Block], Math.Abs(absmax[i] - mean));
        byte[] codes = new byte[absmax.Length];
        for (int i = 0; i < absmax.Length; i++)
        {
            float most = largest[i / Block];
            codes[i] = (byte)
                SmallFloats.Nearest(Array.ConvertAll(map, value => (double)value * most), absmax[i] - mean);
            absmax[i] = (float)((double)(float)((double)map[codes[i]] * most) + mean);
        }
        tensors.Add(Encoded.Bytes($"{name}.absmax", StoredType.U8, [codes.Length], codes));
        tensors.Add(Encoded.Floats($"{name}.nested_absmax", [largest.Length], largest));
        tensors.Add(Encoded.Floats($"{name}.nested_quant_map", [Block], map));
        string offset = ((double)mean).ToString("R", CultureInfo.InvariantCulture);
        return $", \"nested_blocksize\": {Block}, \"nested_dtype\": \"float32\", \"nested_offset\": {offset}";
    }
}
