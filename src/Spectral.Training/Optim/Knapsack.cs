namespace Spectral.Training.Optim;

/// <summary>Chooses items of the largest total value within a total cost, by dynamic programming.</summary>
internal static class Knapsack
{
    /// <summary>Largest number of steps that a budget is divided into.</summary>
    private const int MostUnits = 10_000;

    /// <summary>
    /// Returns which items are chosen. The result is the best one if the budget is at most 10,000; costs are then taken
    /// as they are. A larger budget is divided into 10,000 units, and costs are rounded up to whole units, so that the
    /// budget holds in any case.
    /// </summary>
    /// <param name="values">The values of the items, not negative.</param>
    /// <param name="costs">Their costs, above 0.</param>
    /// <param name="budget">The largest total cost.</param>
    public static bool[] Choose(IReadOnlyList<double> values, IReadOnlyList<long> costs, long budget)
    {
        double unit = Math.Max(1, budget / (double)MostUnits);
        int room = (int)(budget / unit);
        double[] best = new double[room + 1];
        bool[][] taken = new bool[values.Count][];
        for (int item = 0; item < values.Count; item++)
        {
            taken[item] = new bool[room + 1];
            double units = Math.Ceiling(costs[item] / unit);
            if (units > room)
                continue;
            int cost = (int)units;
            for (int used = room; used >= cost; used--)
            {
                double with = best[used - cost] + values[item];
                if (with <= best[used])
                    continue;
                (best[used], taken[item][used]) = (with, true);
            }
        }

        bool[] chosen = new bool[values.Count];
        int left = room;
        for (int item = values.Count - 1; item >= 0; item--)
        {
            chosen[item] = taken[item][left];
            if (chosen[item])
                left -= (int)Math.Ceiling(costs[item] / unit);
        }

        return chosen;
    }
}
