using System.Numerics;
using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>Stores a tensor that has few different values: these, and the index of its value for each entry.</summary>
internal sealed class CodebookCodec : PackedCodec
{
    private const string Codec = "codebook";
    private const string CodesLeaf = "codes";
    private const string LevelsLeaf = "levels";
    private const string BitsKey = "bits";
    private const int MostBits = 8;

    public override string Name => Codec;

    /// <summary>
    /// Packs values of which there are at most 256 different ones, in as few bits as tell them apart.
    /// </summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="values">The values, row by row.</param>
    public static PackedTensor Pack(string name, IReadOnlyList<long> shape, float[] values)
    {
        float[] different = [.. values.Distinct().Order()];
        int bits = Math.Max(1, BitOperations.Log2((uint)different.Length - 1) + 1);
        float[] levels = [.. different, .. Enumerable.Repeat(different[^1], (1 << bits) - different.Length)];
        BitWriter codes = new((long)bits * values.Length);
        foreach (float value in values)
            codes.Write(Array.BinarySearch(different, value), bits);
        return new PackedTensor(
            name,
            Codec,
            shape,
            [
                PackedTensor.Codes(name, CodesLeaf, codes.Bytes),
                PackedTensor.Numbers(name, LevelsLeaf, StoredType.F32, [levels.Length], levels),
            ],
            json => json.WriteNumber(BitsKey, bits)
        );
    }

    public override Func<float[]> Read(JsonFields fields, IReadOnlyList<long> shape, PackedParts parts)
    {
        int bits = fields.RequiredInteger(BitsKey, 1, MostBits);
        int count = (int)shape.Aggregate(1L, (product, dimension) => product * dimension);
        SafetensorsTensor codes = parts.Codes(CodesLeaf, (long)bits * count);
        SafetensorsTensor levels = parts.Numbers(LevelsLeaf, StoredType.F32, 1 << bits);
        return () =>
        {
            float[] values = new float[count];
            float[] table = levels.ToFloats();
            BitReader reader = new(codes.Data);
            for (int i = 0; i < count; i++)
                values[i] = table[reader.Read(bits)];
            return values;
        };
    }
}
