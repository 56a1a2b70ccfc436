namespace Spectral.Training.Numerics;

/// <summary>
/// Divides rows into groups around means (Lloyd, 1957, "Least squares quantization in PCM"), on the host in double.
/// </summary>
internal static class NearestMeans
{
    /// <summary>
    /// Returns the group of each row, 0 to groups − 1. The first means are distinct rows drawn from a seed; a group
    /// that loses all rows keeps its mean.
    /// </summary>
    /// <param name="rows">The rows, one after the other.</param>
    /// <param name="length">The length of a row.</param>
    /// <param name="groups">The number of groups, at most that of rows.</param>
    /// <param name="rounds">The largest number of times that means are computed again.</param>
    /// <param name="seed">The seed of the first means.</param>
    public static int[] Divide(ReadOnlySpan<float> rows, int length, int groups, int rounds, uint seed)
    {
        int count = rows.Length / length;
        double[] means = new double[groups * length];
        int[] first = TorchPermutation.First(groups, count, seed);
        for (int at = 0; at < means.Length; at++)
            means[at] = rows[first[at / length] * length + at % length];
        int[] group = new int[count];
        for (int round = 0; round <= rounds; round++)
        {
            bool moved = false;
            for (int row = 0; row < count; row++)
            {
                int nearest = Nearest(rows.Slice(row * length, length), means);
                moved |= nearest != group[row];
                group[row] = nearest;
            }

            if (!moved && round > 0)
                break;
            if (round < rounds)
                Update(rows, length, group, means);
        }

        return group;
    }

    private static int Nearest(ReadOnlySpan<float> row, double[] means)
    {
        (int nearest, double least) = (0, double.PositiveInfinity);
        for (int mean = 0; mean * row.Length < means.Length; mean++)
        {
            double distance = 0;
            for (int i = 0; i < row.Length; i++)
            {
                double difference = row[i] - means[mean * row.Length + i];
                distance += difference * difference;
            }

            if (distance < least)
                (nearest, least) = (mean, distance);
        }

        return nearest;
    }

    private static void Update(ReadOnlySpan<float> rows, int length, int[] group, double[] means)
    {
        double[] sums = new double[means.Length];
        int[] counts = new int[means.Length / length];
        for (int row = 0; row < group.Length; row++)
        {
            counts[group[row]]++;
            for (int i = 0; i < length; i++)
                sums[group[row] * length + i] += rows[row * length + i];
        }

        for (int at = 0; at < means.Length; at++)
        {
            if (counts[at / length] > 0)
                means[at] = sums[at] / counts[at / length];
        }
    }
}
