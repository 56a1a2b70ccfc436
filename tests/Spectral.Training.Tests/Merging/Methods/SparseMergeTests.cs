using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Merging;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Methods that drop entries of the changes and vote on signs, against their formulas in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SparseMergeTests(DeviceKind kind) : MergeTest(kind)
{
    [TestCase(0.2)]
    [TestCase(0.73)]
    [TestCase(1)]
    public void MagnitudeAddsTheLargestChanges(double density)
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.5), Tuned(2, weight: -2)];
        double[] weights = [0.5, -2];
        Verify(
            Merge("magnitude", new MergeOptions { Density = density }, inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[][] kept = [.. changes.Select(change => Largest(change, density))];
                return Entries(theta, i => theta[i] + Sum(weights, (w, j) => w * kept[j][i]));
            }
        );
    }

    [TestCase(0.2)]
    [TestCase(0.9)]
    public void TiesTrimsElectsAndAverages(double density)
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2), Tuned(3)];
        Verify(
            Merge("ties", new MergeOptions { Density = density }, inputs),
            inputs,
            (_, theta, changes) => Elected(theta, [.. changes.Select(change => Largest(change, density))], [1, 1, 1])
        );
    }

    [Test]
    public void TiesVotesBeforeItWeighs()
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.3), Tuned(2, weight: 2), Tuned(3, weight: 0.01)];
        Verify(
            Merge("ties", new MergeOptions { Density = 0.5 }, inputs),
            inputs,
            (_, theta, changes) => Elected(theta, [.. changes.Select(change => Largest(change, 0.5))], [0.3, 2, 0.01])
        );
    }

    [Test]
    public void TiesCanGiveEachInputOneVoteAndScaleTheResult()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.5), Tuned(3, 0.01)];
        Verify(
            Merge("ties", With(("vote", 1), ("lambda", 0.4)) with { Density = 0.5 }, inputs),
            inputs,
            (_, theta, changes) =>
                Elected(theta, [.. changes.Select(change => Largest(change, 0.5))], [0.4, 0.4, 0.4], byCount: true)
        );
    }

    [Test]
    public void TiesCanTrimOverTheWholeModel()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        string[] names = [.. Values(Base).Keys];
        double[] thresholds =
        [
            .. inputs.Select(input =>
            {
                double[] all =
                [
                    .. names.SelectMany(name => Changes(name, input)[0]).Select(Math.Abs).OrderDescending(),
                ];
                return all[(int)(0.3 * all.Length) - 1];
            }),
        ];
        Verify(
            Merge("ties", With(("scope", 1)) with { Density = 0.3 }, inputs),
            inputs,
            (_, theta, changes) =>
                Elected(
                    theta,
                    [
                        .. changes.Select(
                            (change, j) =>
                                change.Select(value => Math.Abs(value) >= thresholds[j] ? value : 0).ToArray()
                        ),
                    ],
                    [1, 1]
                )
        );
    }

    [Test]
    public void OfEqualMagnitudesTheFirstAreKept()
    {
        MergeInput input = new(Write("even", 0, 0));
        Edit(Base, Embedding, (_, value) => MathF.Round(value * 64) / 64); // so that changes are exact
        Edit(input.Directory, Embedding, (_, value) => MathF.Round(value * 64) / 64);
        Edit(input.Directory, Embedding, (i, value) => value + (i % 2 == 0 ? 0.25f : -0.25f));
        double[] origin = Values(Base)[Embedding];
        double[] merged = Merge("magnitude", new MergeOptions { Density = 0.6 }, input)[Embedding];
        int kept = Enumerable.Range(0, merged.Length).Count(i => merged[i] != origin[i]);
        int first = Enumerable.Range(0, merged.Length).TakeWhile(i => merged[i] != origin[i]).Count();
        Assert.That((kept, first), Is.EqualTo(((int)(0.6 * merged.Length), (int)(0.6 * merged.Length))));
    }

    [Test]
    public void DareDropsAtRandomAndRescales()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        double[][] changes = Changes(Embedding, inputs);
        double[] origin = Values(Base)[Embedding];
        double[] one = Merge("dare-linear", new MergeOptions { Density = 0.3, Seed = 5 }, inputs[0])[Embedding];
        int kept = 0;
        for (int i = 0; i < one.Length; i++)
        {
            double change = one[i] - origin[i];
            bool isKept = Math.Abs(change) > 1e-7;
            kept += isKept ? 1 : 0;
            if (isKept)
                Assert.That(change, Is.EqualTo(changes[0][i] / 0.3).Within(1e-6));
        }
        Assert.That(kept / (double)one.Length, Is.EqualTo(0.3).Within(0.01), "5 standard deviations");

        double[] both = Merge("dare-linear", new MergeOptions { Density = 0.3, Seed = 5 }, inputs)[Embedding];
        int together = Enumerable
            .Range(0, one.Length)
            .Count(i => Math.Abs(one[i] - origin[i]) > 1e-7 && Math.Abs(both[i] - one[i]) > 1e-7);
        Assert.That(together / (double)one.Length, Is.EqualTo(0.09).Within(0.006), "the inputs drop independently");
        double[] again = Merge("dare-linear", new MergeOptions { Density = 0.3, Seed = 5 }, inputs)[Embedding];
        double[] other = Merge("dare-linear", new MergeOptions { Density = 0.3, Seed = 6 }, inputs)[Embedding];
        Assert.That(again, Is.EqualTo(both));
        Assert.That(other, Is.Not.EqualTo(both));
    }

    [Test]
    public void DareTiesVotesAmongWhatDareKeeps()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        MergeOptions options = new() { Density = 0.4, Seed = 3 };
        double[] origin = Values(Base)[Query];
        double[] weights = [1, 0];
        // With a weight of 0 for one input, dare-linear shows what it keeps of the other.
        double[][] kept =
        [
            .. weights.Select(
                (_, j) =>
                {
                    MergeInput[] weighted = [.. inputs.Select((input, k) => input with { Weight = j == k ? 1 : 0 })];
                    double[] merged = Merge("dare-linear", options, weighted)[Query];
                    return merged
                        .Select((value, i) => value - origin[i])
                        .Select(x => Math.Abs(x) < 1e-7 ? 0 : x)
                        .ToArray();
                }
            ),
        ];
        Compare(Merge("dare-ties", options, inputs)[Query], Elected(origin, kept, [1, 1]), 1e-6, Query);
    }

    private static double[] Largest(double[] change, double density)
    {
        int count = (int)(density * change.Length);
        HashSet<int> kept =
        [
            .. Enumerable
                .Range(0, change.Length)
                .OrderByDescending(i => Math.Abs(change[i]))
                .ThenBy(i => i)
                .Take(count),
        ];
        return [.. change.Select((value, i) => kept.Contains(i) ? value : 0)];
    }

    private static double[] Elected(double[] theta, double[][] changes, double[] weights, bool byCount = false) =>
        Entries(
            theta,
            i =>
            {
                double vote = changes.Sum(change => byCount ? Math.Sign(change[i]) : change[i]);
                int sign = vote >= 0 ? 1 : -1;
                int[] agree = [.. Enumerable.Range(0, changes.Length).Where(j => Math.Sign(changes[j][i]) == sign)];
                return theta[i] + (agree.Sum(j => weights[j] * changes[j][i]) / Math.Max(1, agree.Length));
            }
        );
}
