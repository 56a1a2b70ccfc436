namespace Spectral.Training.Optim;

/// <summary>
/// Finds what lies at equal distances in memory, so that one launch can work on all of it: the same factor of every
/// layer as a rule.
/// </summary>
internal static class EqualDistances
{
    /// <summary>
    /// Splits items into runs whose places are arithmetic progressions, in each coordinate with a distance of its own
    /// that is not negative.
    /// </summary>
    /// <param name="places">The place of each item, of equal length; no two are the same.</param>
    /// <returns>The items of each run in their order; each item is in one of them.</returns>
    public static IReadOnlyList<IReadOnlyList<int>> Runs(IReadOnlyList<long[]> places)
    {
        List<IReadOnlyList<int>> runs = [];
        List<int> left = [.. Enumerable.Range(0, places.Count).OrderBy(item => places[item][0])];
        while (left.Count > 0)
        {
            IReadOnlyList<int> longest = Longest(places, left);
            runs.Add(longest);
            left.RemoveAll(longest.Contains);
        }

        return runs;
    }

    /// <summary>Returns the longest run that starts at the first of some items.</summary>
    private static List<int> Longest(IReadOnlyList<long[]> places, List<int> items)
    {
        List<int> longest = [items[0]];
        foreach (int second in items.Skip(1))
        {
            long[] distance = [.. places[second].Zip(places[items[0]], (to, from) => to - from)];
            if (distance.Any(step => step < 0))
                continue;
            List<int> run = [items[0]];
            foreach (int item in items.Skip(1)) // in the order of their places
            {
                if (places[item].Zip(places[run[^1]], (to, from) => to - from).SequenceEqual(distance))
                    run.Add(item);
            }

            if (run.Count > longest.Count)
                longest = run;
        }

        return longest;
    }
}
