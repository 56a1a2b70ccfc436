namespace Spectral.Training.Tests.Support;

/// <summary>Rounds a vector to levels as the format of packed tensors states it, in plain loops over doubles.</summary>
internal static class BandReference
{
    public static double[] Round(double[] vector, int bits)
    {
        double norm = Math.Sqrt(vector.Sum(x => x * x));
        double[] rounded = new double[vector.Length];
        for (int start = 0; start < vector.Length; start += 128)
        {
            double[] group = [.. vector.Skip(start).Take(128).Select(x => x / norm)];
            double[][] tried =
            [
                .. Enumerable
                    .Range(0, 24)
                    .Select(i => 2 * group.Max(Math.Abs) / (Math.Pow(2, bits) - 1) * (1 - (0.025 * i)))
                    .Select(scale => Levels(group, (double)(Half)scale, bits)),
            ];
            double[] best = tried.MinBy(levels => levels.Zip(group, (level, x) => (level - x) * (level - x)).Sum())!;
            best.CopyTo(rounded, start);
        }
        double factor = vector.Zip(rounded, (x, level) => x * level).Sum() / rounded.Sum(level => level * level);
        return [.. rounded.Select(level => factor * level)];
    }

    private static double[] Levels(double[] group, double scale, int bits)
    {
        double[] levels =
        [
            .. Enumerable.Range(0, (int)Math.Pow(2, bits)).Select(i => scale * (i - Math.Pow(2, bits - 1) + 0.5)),
        ];
        return [.. group.Select(x => levels.MinBy(level => Math.Abs(level - x)))];
    }
}
