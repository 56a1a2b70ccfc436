namespace Spectral.Training.Adapters.Building;

/// <summary>Shares a number of entries out over layers.</summary>
internal static class ProportionalBudget
{
    /// <summary>
    /// Returns the number of each layer, in proportion to its score and at most its size. What a full layer cannot take
    /// goes to the others, in the same proportion. The numbers add up to the budget.
    /// </summary>
    /// <param name="scores">The scores, not negative; all zero counts as all equal.</param>
    /// <param name="most">The sizes of the layers.</param>
    /// <param name="budget">The number to share out; all, if the layers have fewer.</param>
    public static long[] Share(IReadOnlyList<double> scores, IReadOnlyList<long> most, long budget)
    {
        double[] weights = scores.Any(score => score > 0) ? [.. scores] : [.. scores.Select(_ => 1.0)];
        long[] shares = new long[weights.Length];
        for (long left = Math.Min(budget, most.Sum()); left > 0; left = Math.Min(budget, most.Sum()) - shares.Sum())
        {
            int[] open = [.. Enumerable.Range(0, shares.Length).Where(i => shares[i] < most[i])];
            double sum = open.Sum(i => weights[i]);
            long before = left;
            foreach (int i in open)
            {
                double part = sum > 0 ? before * weights[i] / sum : (double)before / open.Length;
                long given = Math.Min((long)part, most[i] - shares[i]);
                shares[i] += given;
                left -= given;
            }

            // Rounding down leaves less than one each.
            if (left == before || left <= open.Length)
            {
                foreach (int i in open.OrderByDescending(i => weights[i]).Where(i => shares[i] < most[i]))
                {
                    if (left-- <= 0)
                        break;
                    shares[i]++;
                }
            }
        }

        return shares;
    }
}
