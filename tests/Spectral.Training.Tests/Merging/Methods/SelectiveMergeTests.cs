using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Merging;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Methods that choose entries by rank, variance or competition, against their formulas in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SelectiveMergeTests(DeviceKind kind) : MergeTest(kind)
{
    [Test]
    public void BreadcrumbsDropsOutliersAndSmallChanges()
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.5), Tuned(2)];
        double[] weights = [0.5, 1];
        Verify(
            Merge("breadcrumbs", With(("gamma", 0.1)) with { Density = 0.4 }, inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[][] kept =
                [
                    .. changes.Select(change =>
                    {
                        int dropped = (int)(0.1 * change.Length);
                        HashSet<int> middle = [.. ByMagnitude(change).Skip(dropped).Take((int)(0.4 * change.Length))];
                        return Entries(change, i => middle.Contains(i) ? change[i] : 0);
                    }),
                ];
                return Entries(theta, i => theta[i] + Sum(weights, (w, j) => w * kept[j][i]));
            }
        );
    }

    [Test]
    public void TswitchKeepsSignsAndOneNumber()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, weight: 0.5)];
        double[] weights = [1, 0.5];
        Verify(
            Merge("t-switch", new MergeOptions { Density = 0.3 }, inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[][] coded =
                [
                    .. changes.Select(change =>
                    {
                        HashSet<int> kept = [.. ByMagnitude(change).Take((int)(0.3 * change.Length))];
                        double scale = kept.Average(i => Math.Abs(change[i]));
                        return Entries(change, i => kept.Contains(i) ? scale * Math.Sign(change[i]) : 0);
                    }),
                ];
                return Entries(theta, i => theta[i] + Sum(weights, (w, j) => w * coded[j][i]));
            }
        );
    }

    [TestCase(1)]
    [TestCase(0.35)]
    public void SceSelectsCalculatesAndErases(double density)
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.3), Tuned(3)];
        Verify(
            Merge("sce", new MergeOptions { Density = density }, inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[] variances = Entries(
                    theta,
                    i =>
                    {
                        double mean = changes.Average(change => change[i]);
                        return (float)changes.Average(change => (change[i] - mean) * (change[i] - mean));
                    }
                );
                HashSet<int> kept =
                [
                    .. ByMagnitude(variances).Take((int)(density * variances.Count(variance => variance > 0))),
                ];
                double[][] selected =
                [
                    .. changes.Select(change => Entries(change, i => density == 1 || kept.Contains(i) ? change[i] : 0)),
                ];
                double[] squares = [.. selected.Select(change => Dot(change, change))];
                return Entries(
                    theta,
                    i =>
                    {
                        int sign = selected.Sum(change => change[i]) >= 0 ? 1 : -1;
                        int[] agree = [.. Enumerable.Range(0, 3).Where(j => Math.Sign(selected[j][i]) == sign)];
                        double divisor = agree.Sum(j => squares[j]);
                        return theta[i] + (divisor == 0 ? 0 : agree.Sum(j => squares[j] * selected[j][i]) / divisor);
                    }
                );
            }
        );
    }

    [Test]
    public void DellaKeepsLargerChangesMoreOftenAndRescales()
    {
        MergeInput input = Tuned(1);
        double[] origin = Values(Base)[Embedding];
        double[] change = Changes(Embedding, input)[0];
        double[] merged = Merge("della", With(("epsilon", 0.2)) with { Density = 0.4, Seed = 2 }, input)[Embedding];
        const int Width = 13;
        int[] kept = new int[Width];
        int rows = change.Length / Width;
        for (int row = 0; row < rows; row++)
        {
            int[] order = [.. Enumerable.Range(row * Width, Width).OrderBy(i => Math.Abs(change[i]))];
            for (int rank = 0; rank < Width; rank++)
            {
                double stays = 0.2 + (0.4 * rank / (Width - 1));
                double actual = merged[order[rank]] - origin[order[rank]];
                if (Math.Abs(actual) < 1e-7)
                    continue;
                kept[rank]++;
                Assert.That(actual, Is.EqualTo(change[order[rank]] / stays).Within(1e-6), "divided by its probability");
            }
        }

        for (int rank = 0; rank < Width; rank++)
        {
            double stays = 0.2 + (0.4 * rank / (Width - 1));
            Assert.That(kept[rank] / (double)rows, Is.EqualTo(stays).Within(0.04), $"rank {rank}, 6 deviations");
        }
    }

    [Test]
    public void DellaRefusesProbabilitiesBeyond0And1() =>
        Assert.That(
            () => Merge("della", With(("epsilon", 0.3)) with { Density = 0.2 }, Tuned(1)),
            Throws.Exception.With.Message.Contains("density 0.2 and epsilon 0.3")
        );

    [Test]
    public void PcbBalancesTheCompetitionOverTheWholeModel()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.3)];
        string[] names = [.. Values(Base).Keys];
        double[][] all = [.. inputs.Select(input => names.SelectMany(name => Changes(name, input)[0]).ToArray())];
        int count = all[0].Length;
        double[][] magnitudes = [.. all.Select(change => change.Select(Math.Abs).Order().ToArray())];
        (double Least, double Most)[] clips =
        [
            .. magnitudes.Select(sorted => (sorted[(int)(count * 0.0001)], sorted[(int)((count * (1 - 0.0001)) - 1)])),
        ];
        double[] Score(int j, double[] own, double[][] changes) =>
            Entries(
                own,
                i =>
                {
                    double within =
                        (Math.Clamp(Math.Abs(own[i]), clips[j].Least, clips[j].Most) - clips[j].Least)
                        / (clips[j].Most - clips[j].Least);
                    return Math.Exp(2 * within * within) * Math.Tanh(own[i] * changes.Sum(change => change[i]));
                }
            );
        double[][] sortedScores = [.. all.Select((change, j) => Score(j, change, all).Order().ToArray())];
        (double Least, double Most)[] ranges =
        [
            .. sortedScores.Select(sorted => (sorted[(int)(count * (1 - 0.1))], sorted[^1])),
        ];
        Verify(
            Merge("pcb", With(("ratio", 0.1), ("lambda", 0.8)), inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[][] scales =
                [
                    .. changes.Select(
                        (change, j) =>
                            Score(j, change, changes)
                                .Select(score =>
                                    (Math.Clamp(score, ranges[j].Least, ranges[j].Most) - ranges[j].Least)
                                    / (ranges[j].Most - ranges[j].Least)
                                )
                                .ToArray()
                    ),
                ];
                return Entries(
                    theta,
                    i =>
                        theta[i]
                        + (
                            0.8
                            * Enumerable
                                .Range(0, 2)
                                .Sum(j =>
                                    scales[j][i]
                                    * Math.Sign(changes[j][i])
                                    * Math.Clamp(Math.Abs(changes[j][i]), clips[j].Least, clips[j].Most)
                                )
                            / Math.Max(scales.Sum(scale => scale[i]), 1e-12)
                        )
                );
            },
            // Of scales near 0 the quotient keeps few digits.
            1e-4
        );
    }

    private static IEnumerable<int> ByMagnitude(double[] values) =>
        Enumerable.Range(0, values.Length).OrderByDescending(i => Math.Abs(values[i])).ThenBy(i => i);
}
