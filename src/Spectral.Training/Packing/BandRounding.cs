using Spectral.Training.Numerics;

namespace Spectral.Training.Packing;

/// <summary>The levels of a <see cref="BandMatrix"/>, and how a vector is rounded to the nearest of them.</summary>
internal static class BandRounding
{
    /// <summary>The number of entries that share a scale; the last group of a vector may be shorter.</summary>
    public const int Group = 128;

    // A scale that leaves the largest entries out of reach can have the smaller error where there are few levels.
    private const int Tried = 24;
    private const double TriedStep = 0.025;

    /// <summary>
    /// Rounds each entry to the nearest level of its group. Of a few scales the one with the smallest squared error is
    /// taken, and the norm is then the best for the rounded direction.
    /// </summary>
    public static RoundedVector Nearest(ReadOnlySpan<double> vector, int bits)
    {
        float[] scales = new float[BandMatrix.GroupsOf(vector.Length)];
        int[] codes = new int[vector.Length];
        double norm = Math.Sqrt(HostMatrix.Dot(vector, vector));
        if (norm == 0)
            return new RoundedVector(codes, scales, 0);
        double[] direction = new double[vector.Length];
        for (int j = 0; j < direction.Length; j++)
            direction[j] = vector[j] / norm;
        double[] rounded = new double[vector.Length];
        for (int j = 0; j < rounded.Length; j++)
        {
            if (j % Group == 0)
                scales[j / Group] = BestScale(direction.AsSpan(j, Math.Min(Group, vector.Length - j)), bits);
            codes[j] = NearestCode(direction[j], scales[j / Group], bits);
            rounded[j] = scales[j / Group] * Level(codes[j], bits);
        }

        double own = HostMatrix.Dot(rounded, rounded);
        return new RoundedVector(codes, scales, (float)(own > 0 ? HostMatrix.Dot(vector, rounded) / own : 0));
    }

    /// <summary>Returns the scale, of a few, with the smallest squared error of the nearest levels.</summary>
    public static float BestScale(ReadOnlySpan<double> values, int bits)
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
                double off = value - (scale * Level(NearestCode(value, scale, bits), bits));
                error += off * off;
            }
            if (error < least)
                (best, least) = (scale, error);
        }
        return best;
    }

    /// <summary>Returns the code of the level nearest to a value.</summary>
    public static int NearestCode(double value, float scale, int bits)
    {
        int half = 1 << (bits - 1);
        return scale == 0 ? half : (int)Math.Clamp(Math.Floor(value / scale) + half, 0, (2 * half) - 1);
    }

    /// <summary>Returns the level of a code, for a scale of 1.</summary>
    public static double Level(int code, int bits) => code - (1 << (bits - 1)) + 0.5;
}
