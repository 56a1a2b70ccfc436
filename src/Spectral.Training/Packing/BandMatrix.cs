using Spectral.Training.Numerics;

namespace Spectral.Training.Packing;

/// <summary>
/// Vectors whose entries are rounded to levels, in bands of 1 to 8 bits an entry: <c>x = norm · s · (code − 2^(bits −
/// 1) + ½)</c> with a scale s for each group of consecutive entries and a norm for each vector.
/// </summary>
/// <param name="length">The number of entries of a vector.</param>
/// <param name="bands">How many vectors have entries of how many bits, in order.</param>
/// <param name="codes">The packed codes, vector by vector.</param>
/// <param name="scales">The scales, group by group, each an F16 value.</param>
/// <param name="norms">The norm of each vector.</param>
internal sealed class BandMatrix(
    int length,
    IReadOnlyList<(int Bits, int Count)> bands,
    byte[] codes,
    float[] scales,
    float[] norms
)
{
    private const int ScaleBits = 16;
    private const int NormBits = 32;

    /// <summary>The number of vectors.</summary>
    public int Count => norms.Length;

    /// <summary>The number of entries of a vector.</summary>
    public int Length => length;

    /// <summary>How many vectors have entries of how many bits, in order.</summary>
    public IReadOnlyList<(int Bits, int Count)> Bands => bands;

    /// <summary>The packed codes, vector by vector.</summary>
    public byte[] Codes => codes;

    /// <summary>The scales, group by group.</summary>
    public float[] Scales => scales;

    /// <summary>The norm of each vector.</summary>
    public float[] Norms => norms;

    /// <summary>Rounds vectors, one per row, each to its nearest levels (<see cref="BandRounding.Nearest"/>).</summary>
    public static BandMatrix Of(HostMatrix vectors, IReadOnlyList<(int Bits, int Count)> bands)
    {
        int[] bits = BitsOf(bands);
        var rounded = new RoundedVector[vectors.Rows];
        Parallel.For(0, vectors.Rows, i => rounded[i] = BandRounding.Nearest(vectors.Row(i), bits[i]));
        return Of(rounded, bands);
    }

    /// <summary>Packs vectors that are rounded.</summary>
    public static BandMatrix Of(IReadOnlyList<RoundedVector> vectors, IReadOnlyList<(int Bits, int Count)> bands)
    {
        int length = vectors[0].Codes.Length;
        int[] bits = BitsOf(bands);
        BitWriter codes = new(CodeBits(bands, length));
        for (int i = 0; i < vectors.Count; i++)
        {
            foreach (int code in vectors[i].Codes)
                codes.Write(code, bits[i]);
        }
        float[] scales = [.. vectors.SelectMany(vector => vector.Scales)];
        return new BandMatrix(length, bands, codes.Bytes, scales, [.. vectors.Select(vector => vector.Norm)]);
    }

    /// <summary>Returns the number of bits of an entry of each vector.</summary>
    public static int[] BitsOf(IReadOnlyList<(int Bits, int Count)> bands) =>
        [.. bands.SelectMany(band => Enumerable.Repeat(band.Bits, band.Count))];

    /// <summary>Returns the number of bits that a vector takes.</summary>
    /// <param name="length">The number of its entries.</param>
    /// <param name="bits">The number of bits of an entry.</param>
    public static long Cost(int length, int bits) => ((long)bits * length) + (ScaleBits * GroupsOf(length)) + NormBits;

    /// <summary>Returns the number of groups of a vector.</summary>
    public static int GroupsOf(int length) => (int)(((long)length + BandRounding.Group - 1) / BandRounding.Group);

    /// <summary>Returns the number of bits of the codes of some bands.</summary>
    public static long CodeBits(IReadOnlyList<(int Bits, int Count)> bands, int length) =>
        bands.Sum(band => (long)band.Bits * band.Count * length);

    /// <summary>Returns the vectors, one after the other.</summary>
    public float[] ToFloats()
    {
        float[] values = new float[(long)Count * length];
        BitReader reader = new(codes);
        int[] bits = BitsOf(bands);
        for (int i = 0; i < Count; i++)
        {
            for (int j = 0; j < length; j++)
            {
                double scale = (double)norms[i] * scales[(i * GroupsOf(length)) + (j / BandRounding.Group)];
                values[(i * length) + j] = (float)(scale * BandRounding.Level(reader.Read(bits[i]), bits[i]));
            }
        }
        return values;
    }
}
