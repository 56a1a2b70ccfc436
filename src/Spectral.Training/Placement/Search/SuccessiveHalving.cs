namespace Spectral.Training.Placement.Search;

/// <summary>
/// Finds the best of many candidates: each round measures those that are left, more exactly than the round before, and
/// keeps the best part (Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
/// 2016, arXiv 1502.07943).
/// </summary>
internal static class SuccessiveHalving
{
    /// <summary>Returns the number of candidates in each round, down to one.</summary>
    /// <param name="first">The number in the first round.</param>
    /// <param name="eta">The factor between rounds, at least 2.</param>
    public static IReadOnlyList<int> Rounds(int first, int eta)
    {
        List<int> rounds = [first];
        while (rounds[^1] > 1)
            rounds.Add(Math.Max(1, rounds[^1] / eta));
        return rounds;
    }

    /// <summary>Returns the largest number of candidates whose rounds stay within a budget of measurements.</summary>
    public static int Candidates(long budget, int eta)
    {
        (int least, int most) = (1, (int)Math.Min(budget, 1 << 20));
        while (least < most)
        {
            int middle = least + ((most - least + 1) / 2);
            if (Rounds(middle, eta).Sum(count => (long)count) <= budget)
                least = middle;
            else
                most = middle - 1;
        }
        return least;
    }

    /// <summary>Returns the best candidate. Of equally good ones the first is better.</summary>
    /// <param name="candidates">The candidates.</param>
    /// <param name="eta">The factor between rounds.</param>
    /// <param name="measure">Measures a candidate in a round, from 0; smaller is better, and NaN is worst.</param>
    public static T Best<T>(IReadOnlyList<T> candidates, int eta, Func<T, int, double> measure)
    {
        IReadOnlyList<T> left = candidates;
        IReadOnlyList<int> rounds = Rounds(candidates.Count, eta);
        for (int round = 0; round < rounds.Count; round++)
        {
            (T Candidate, double Loss)[] measured =
            [
                .. left.Select(candidate => (candidate, measure(candidate, round))),
            ];
            int kept = round + 1 < rounds.Count ? rounds[round + 1] : 1;
            left =
            [
                .. measured
                    .OrderBy(entry => double.IsNaN(entry.Loss) ? double.PositiveInfinity : entry.Loss)
                    .Take(kept)
                    .Select(entry => entry.Candidate),
            ];
        }
        return left[0];
    }
}
