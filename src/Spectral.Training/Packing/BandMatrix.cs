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
    // The number of entries that share a scale; the last group of a vector may be shorter.
    private const int Group = 128;
    private const int ScaleBits = 16;
    private const int NormBits = 32;

    // A scale that leaves the largest entries out of reach can have the smaller error where there are few levels.
    private const int Tried = 24;
    private const double TriedStep = 0.025;

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

    /// <summary>
    /// Rounds vectors, one per row. Each entry goes to the nearest level of its group. Of a few scales the one with the
    /// smallest squared error is taken, and the norm is then the best for the rounded direction.
    /// </summary>
    public static BandMatrix Of(HostMatrix vectors, IReadOnlyList<(int Bits, int Count)> bands)
    {
        (int count, int length) = (vectors.Rows, vectors.Columns);
        int[] bits = BitsOf(bands);
        float[] scales = new float[count * GroupsOf(length)];
        float[] norms = new float[count];
        int[][] levels = new int[count][];
        Parallel.For(
            0,
            count,
            i =>
            {
                levels[i] = new int[length];
                Span<float> own = scales.AsSpan(i * GroupsOf(length), GroupsOf(length));
                norms[i] = (float)Round(vectors.Row(i), bits[i], levels[i], own);
            }
        );
        BitWriter codes = new(CodeBits(bands, length));
        for (int i = 0; i < count; i++)
        {
            foreach (int level in levels[i])
                codes.Write(level, bits[i]);
        }
        return new BandMatrix(length, bands, codes.Bytes, scales, norms);
    }

    /// <summary>Returns the number of bits that a vector takes.</summary>
    /// <param name="length">The number of its entries.</param>
    /// <param name="bits">The number of bits of an entry.</param>
    public static long Cost(int length, int bits) => ((long)bits * length) + (ScaleBits * GroupsOf(length)) + NormBits;

    /// <summary>Returns the number of groups of a vector.</summary>
    public static int GroupsOf(int length) => (int)(((long)length + Group - 1) / Group);

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
                double scale = (double)norms[i] * scales[(i * GroupsOf(length)) + (j / Group)];
                values[(i * length) + j] = (float)(scale * Level(reader.Read(bits[i]), bits[i]));
            }
        }
        return values;
    }

    /// <summary>Rounds a vector and returns its norm.</summary>
    private static double Round(ReadOnlySpan<double> vector, int bits, int[] codes, Span<float> scales)
    {
        double norm = Math.Sqrt(HostMatrix.Dot(vector, vector));
        if (norm == 0)
            return 0;
        double[] direction = new double[vector.Length];
        double[] rounded = new double[vector.Length];
        for (int j = 0; j < direction.Length; j++)
            direction[j] = vector[j] / norm;
        for (int group = 0; group < scales.Length; group++)
        {
            int start = group * Group;
            int count = Math.Min(Group, vector.Length - start);
            ReadOnlySpan<double> part = direction.AsSpan(start, count);
            scales[group] = BestScale(part, bits);
            for (int j = 0; j < count; j++)
            {
                codes[start + j] = Nearest(part[j], scales[group], bits);
                rounded[start + j] = scales[group] * Level(codes[start + j], bits);
            }
        }

        double own = HostMatrix.Dot(rounded, rounded);
        return own > 0 ? HostMatrix.Dot(vector, rounded) / own : 0;
    }

    private static float BestScale(ReadOnlySpan<double> values, int bits)
    {
        double largest = 0;
        foreach (double value in values)
            largest = Math.Max(largest, Math.Abs(value));
        double widest = 2 * largest / ((1 << bits) - 1);
        (float best, double least) = (0, double.PositiveInfinity);
        for (int i = 0; i < Tried; i++)
        {
            float scale = (float)(Half)(widest * (1 - (i * TriedStep)));
            double error = 0;
            foreach (double value in values)
            {
                double off = value - (scale * Level(Nearest(value, scale, bits), bits));
                error += off * off;
            }
            if (error < least)
                (best, least) = (scale, error);
        }
        return best;
    }

    private static int Nearest(double value, float scale, int bits)
    {
        int half = 1 << (bits - 1);
        return scale == 0 ? half : (int)Math.Clamp(Math.Floor(value / scale) + half, 0, (2 * half) - 1);
    }

    private static double Level(int code, int bits) => code - (1 << (bits - 1)) + 0.5;

    private static int[] BitsOf(IReadOnlyList<(int Bits, int Count)> bands) =>
        [.. bands.SelectMany(band => Enumerable.Repeat(band.Bits, band.Count))];
}
