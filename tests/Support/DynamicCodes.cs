namespace Spectral.Tests.Support;

/// <summary>
/// The values of bitsandbytes' dynamic 8-bit codes by their definition (<c>create_dynamic_map</c>), and states that are
/// stored in them.
/// </summary>
internal static class DynamicCodes
{
    /// <summary>The elements that share a largest magnitude.</summary>
    public const int Block = 256;

    /// <summary>The codes' values, ascending: seven decades, each cut into twice as many parts as the one before, the
    /// middles of the parts, 0 and 1.</summary>
    public static float[] Values(bool isSigned)
    {
        List<float> values = [0, 1];
        for (int decade = 0; decade < 7; decade++)
        {
            int parts = (isSigned ? 1 : 2) << decade;
            for (int part = 0; part < parts; part++)
            {
                double low = (float)(0.1 + 0.9 / parts * part);
                double high = (float)(0.1 + 0.9 / parts * (part + 1));
                float middle = (float)(Math.Pow(10, decade - 6) * ((low + high) / 2));
                values.Add(middle);
                if (isSigned)
                    values.Add(-middle);
            }
        }

        return [.. values.Order()];
    }

    /// <summary>Returns the numbers that stored codes stand for.</summary>
    /// <param name="words">Four codes in each, the first in the lowest byte.</param>
    /// <param name="most">The largest magnitude of each block.</param>
    /// <param name="count">The number of codes.</param>
    /// <param name="isSigned">Whether the codes have a sign.</param>
    public static double[] Decode(int[] words, float[] most, int count, bool isSigned)
    {
        float[] values = Values(isSigned);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => (double)values[words[i / 4] >> 8 * (i % 4) & 255] * most[i / Block]),
        ];
    }

    /// <summary>
    /// Returns the index of the first number that is not stored by the nearest code, to 1e-6 of its block's largest, or
    /// whose block's largest is not that of the numbers; −1: all are right.
    /// </summary>
    /// <param name="numbers">What was to be stored.</param>
    /// <param name="stored">What is stored (<see cref="Decode"/>).</param>
    /// <param name="most">The largest magnitude of each block, as stored.</param>
    /// <param name="isSigned">Whether the codes have a sign.</param>
    /// <param name="rounding">The error of the numbers themselves, where terms cancel.</param>
    public static int FirstWrong(double[] numbers, double[] stored, float[] most, bool isSigned, double rounding = 0)
    {
        float[] values = Values(isSigned);
        for (int i = 0; i < numbers.Length; i++)
        {
            int block = i / Block * Block;
            double largest = numbers[block..Math.Min(block + Block, numbers.Length)].Max(Math.Abs);
            double nearest = values.Min(value => Math.Abs(value * largest - numbers[i]));
            // a negative number keeps its sign: it may be the smallest negative value where 0 is nearer
            double allowed = numbers[i] < 0 ? Math.Max(nearest, 5.5e-7 * largest) : nearest;
            bool isRight =
                Math.Abs(most[i / Block] - largest) <= 1e-6 * largest + rounding
                && Math.Abs(stored[i] - numbers[i]) <= allowed + 1e-6 * largest + rounding;
            if (!isRight)
                return i;
        }

        return -1;
    }
}
