using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim;

/// <summary>The reference tries every set of items.</summary>
public sealed class KnapsackTests
{
    [Test]
    public void ItIsTheBestOfAllSets([Range(1, 40)] int seed)
    {
        Random random = new(seed);
        int count = random.Next(1, 13);
        double[] values = [.. Enumerable.Range(0, count).Select(_ => random.NextDouble())];
        long[] costs = [.. Enumerable.Range(0, count).Select(_ => random.NextInt64(1, 60))];
        long budget = random.NextInt64(1, costs.Sum() + 2);
        bool[] chosen = Knapsack.Choose(values, costs, budget);
        Assert.That(Total(chosen, costs), Is.AtMost(budget));
        double best = Enumerable
            .Range(0, 1 << count)
            .Select(set => (bool[])[.. Enumerable.Range(0, count).Select(i => (set >> i) % 2 == 1)])
            .Where(set => Total(set, costs) <= budget)
            .Max(set => Value(set, values));
        Assert.That(Value(chosen, values), Is.EqualTo(best).Within(1e-12));
    }

    /// <summary>Costs are rounded up to units of a large budget, which holds, and little of it is lost.</summary>
    [Test]
    public void ALargeBudgetHolds([Range(1, 10)] int seed)
    {
        Random random = new(seed);
        double[] values = [.. Enumerable.Range(0, 10).Select(_ => random.NextDouble())];
        long[] costs = [.. Enumerable.Range(0, 10).Select(_ => random.NextInt64(1, 1L << 40))];
        long budget = costs.Sum() / 2;
        bool[] chosen = Knapsack.Choose(values, costs, budget);
        Assert.That(Total(chosen, costs), Is.AtMost(budget));
        double best = Enumerable
            .Range(0, 1 << 10)
            .Select(set => (bool[])[.. Enumerable.Range(0, 10).Select(i => (set >> i) % 2 == 1)])
            .Where(set => Total(set, costs) <= 0.998 * budget)
            .Max(set => Value(set, values));
        Assert.That(Value(chosen, values), Is.AtLeast(best - 1e-12));
    }

    [Test]
    public void NothingFitsAndNothingIsThere()
    {
        Assert.That(Knapsack.Choose([1, 2], [5, 6], 4), Is.All.False);
        Assert.That(Knapsack.Choose([], [], 4), Is.Empty);
    }

    private static long Total(bool[] chosen, long[] costs) =>
        chosen.Zip(costs, (takes, cost) => takes ? cost : 0).Sum();

    private static double Value(bool[] chosen, double[] values) =>
        chosen.Zip(values, (takes, value) => takes ? value : 0).Sum();
}
