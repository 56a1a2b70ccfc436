using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>
/// Stores a tensor as a mask, a sign for each entry in it, and one size that all of these have: <c>x = ± size</c> in
/// the mask, 0 elsewhere. That takes a bit per entry and another per entry in the mask.
/// </summary>
internal sealed class SwitchCodec : PackedCodec
{
    private const string Codec = "switch";
    private const string MaskLeaf = "mask";
    private const string SignsLeaf = "signs";
    private const string SizeLeaf = "size";

    public override string Name => Codec;

    /// <summary>Packs values each of which is 0, the size or its negative.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="values">The values, of which only the signs are read.</param>
    /// <param name="size">The size.</param>
    public static PackedTensor Pack(string name, long[] shape, ReadOnlySpan<float> values, float size)
    {
        BitWriter mask = new(values.Length);
        int kept = 0;
        foreach (float value in values)
        {
            mask.Write(value != 0 ? 1 : 0, 1);
            kept += value != 0 ? 1 : 0;
        }
        BitWriter signs = new(kept);
        foreach (float value in values)
        {
            if (value != 0)
                signs.Write(value < 0 ? 1 : 0, 1);
        }
        return new PackedTensor(
            name,
            Codec,
            shape,
            [
                PackedTensor.Codes(name, MaskLeaf, mask.Bytes),
                PackedTensor.Codes(name, SignsLeaf, signs.Bytes),
                PackedTensor.Numbers(name, SizeLeaf, StoredType.F32, [1], [size]),
            ],
            _ => { }
        );
    }

    public override Func<float[]> Read(JsonFields fields, IReadOnlyList<long> shape, PackedParts parts)
    {
        int count = (int)shape.Aggregate(1L, (product, dimension) => product * dimension);
        SafetensorsTensor mask = parts.Codes(MaskLeaf, count);
        SafetensorsTensor signs = parts.Codes(SignsLeaf);
        SafetensorsTensor size = parts.Numbers(SizeLeaf, StoredType.F32, 1);
        return () =>
        {
            float[] values = new float[count];
            BitReader places = new(mask.Data);
            BitReader negatives = new(signs.Data);
            float positive = size.ToFloats()[0];
            long kept = 0;
            for (int i = 0; i < count; i++)
            {
                if (places.Read(1) == 0)
                    continue;
                if (kept++ >= 8 * signs.Count)
                    throw parts.Wrong($"has {8 * signs.Count} signs, fewer than entries in its mask");
                values[i] = negatives.Read(1) == 1 ? -positive : positive;
            }
            if ((kept + 7) / 8 != signs.Count)
                throw parts.Wrong($"has {signs.Count} bytes of signs, expected {(kept + 7) / 8}");
            return values;
        };
    }
}
