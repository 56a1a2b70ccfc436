using Spectral.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Spectra;

namespace Spectral.Training.Tests.Spectra;

/// <summary>The pieces that need no decomposition.</summary>
public sealed class SpectraStatisticsTests
{
    [TestCase(1, new[] { 1, 1, 1, 1 })]
    [TestCase(2, new[] { 1, 2, 2, 2 })]
    [TestCase(3, new[] { 1, 2, 3, 3 })]
    [TestCase(4, new[] { 1, 2, 3, 4 })]
    [TestCase(64, new[] { 1, 7, 32, 64 })]
    [TestCase(128, new[] { 2, 13, 64, 128 })]
    [TestCase(4096, new[] { 41, 410, 2048, 4096 })]
    public void RangesOfASpectrum(int n, int[] ends)
    {
        SpectrumBin[] bins = SpectrumBin.Of(n, n);
        Assert.That(bins.Select(bin => bin.To), Is.EqualTo(ends));
        Assert.That(bins.Select(bin => bin.From), Is.EqualTo(ends.Prepend(0).Take(4)));
        Assert.That(
            SpectrumBin.Of(4096, 64).Select(bin => bin.To),
            Is.EqualTo(new[] { 41, 64, 2048, 4096 }),
            "a range known in part"
        );
    }

    [Test]
    public void MeansLeaveOutWhatIsNotKnown()
    {
        var bin = new SpectrumBin("", 1, 4);
        Assert.That(bin.Mean([9, 1, double.NaN, 3]), Is.EqualTo(2));
        Assert.That(bin.Mean([9, 1, 2]), Is.NaN, "it reaches beyond what was computed");
        double[] profile = SpectrumBin.Profile([.. Enumerable.Range(0, 40).Select(i => (double)i)], 80);
        Assert.That(profile[..10], Is.EqualTo(Enumerable.Range(0, 10).Select(i => 4 * i + 1.5)));
        Assert.That(profile[10..], Is.All.NaN);
        Assert.That(SpectrumBin.Profile([1, 2], 2).Count(double.IsFinite), Is.EqualTo(2));
    }

    [Test]
    public void NormalDistributionFunction()
    {
        Assert.That(NormalDistribution.Cumulative(0), Is.EqualTo(0.5));
        Assert.That(NormalDistribution.Cumulative(1), Is.EqualTo(0.841344746068543).Within(1e-14));
        Assert.That(NormalDistribution.Cumulative(-1.959963984540054), Is.EqualTo(0.025).Within(1e-14));
        Assert.That(NormalDistribution.Cumulative(-6), Is.EqualTo(9.865876450377e-10).Within(1e-15));
        Assert.That((NormalDistribution.Cumulative(40), NormalDistribution.Cumulative(-40)), Is.EqualTo((1.0, 0.0)));
    }

    [Test]
    public void MomentsOfKnownEntries()
    {
        EntryStatistics coin = Of(-1, 1, 1, -1);
        Assert.That(
            (coin.Mean, coin.StandardDeviation, coin.Skewness, coin.ExcessKurtosis),
            Is.EqualTo((0.0, 1.0, 0.0, -2.0))
        );
        Assert.That(coin.KolmogorovSmirnov, Is.EqualTo(0.3413447460685429).Within(1e-12), "Φ(1) − ½");
        EntryStatistics skewed = Of(0, 0, 0, 1); // p = ¼: (1 − 2p) / √(p q), (1 − 6 p q) / (p q)
        Assert.That(skewed.Skewness, Is.EqualTo(0.5 / Math.Sqrt(3 / 16.0)).Within(1e-12));
        Assert.That(skewed.ExcessKurtosis, Is.EqualTo((1 - 18 / 16.0) / (3 / 16.0)).Within(1e-12));
        EntryStatistics constant = Of(2, 2, 2, 2);
        Assert.That(
            (
                constant.StandardDeviation,
                double.IsNaN(constant.Skewness),
                double.IsNaN(constant.KolmogorovSmirnov),
                double.IsNaN(constant.PValue)
            ),
            Is.EqualTo((0.0, true, true, true))
        );

        static EntryStatistics Of(params double[] values) => EntryStatistics.Of(new HostMatrix(2, 2, values));
    }

    [Test]
    public void GaussianEntriesFitAndUniformOnesDoNot()
    {
        var random = new Random(1);
        var normal = EntryStatistics.Of(
            new HostMatrix(400, 300, [.. Enumerable.Range(0, 120_000).Select(_ => random.NextNormal())])
        );
        Assert.That(normal.Sampled, Is.EqualTo(100_000));
        Assert.That(normal.PValue, Is.GreaterThan(0.01));
        var uniform = EntryStatistics.Of(
            new HostMatrix(100, 100, [.. Enumerable.Range(0, 10_000).Select(_ => random.NextDouble())])
        );
        Assert.That(uniform.PValue, Is.LessThan(1e-6));
        Assert.That(uniform.ExcessKurtosis, Is.EqualTo(-1.2).Within(0.05));
    }

    [Test]
    public void RanksOfKnownSpectra()
    {
        double[] equal = [.. Enumerable.Repeat(3.0, 20)];
        var flat = SpectrumRank.Of(equal, 180, truncated: false);
        Assert.That((flat.Stable, flat.Energy90), Is.EqualTo((20.0, (int?)18)));
        Assert.That(
            (flat.Effective, flat.EffectiveEnergy),
            Is.EqualTo((20.0, 20.0))
                .Using<(double, double)>(
                    (a, b) => Math.Abs(a.Item1 - b.Item1) + Math.Abs(a.Item2 - b.Item2) < 1e-12 ? 0 : 1
                )
        );
        var one = SpectrumRank.Of([5, 0, 0], 25, truncated: false);
        Assert.That(
            (one.Stable, one.Effective, one.EffectiveEnergy, one.Energy90),
            Is.EqualTo((1.0, 1.0, 1.0, (int?)1))
        );
        var cut = SpectrumRank.Of([2, 1], 10, truncated: true);
        Assert.That((cut.Stable, double.IsNaN(cut.Effective), cut.Energy90), Is.EqualTo((2.5, true, (int?)null)));
    }

    [Test]
    public void ProductsOfAnySize()
    {
        var random = new Random(2);
        foreach ((int m, int n, int k) in new[] { (1, 1, 1), (3, 5, 7), (8, 9, 16), (33, 6, 31), (300, 200, 190) })
        {
            var a = new HostMatrix(m, k, [.. Enumerable.Range(0, m * k).Select(_ => random.NextDouble() - 0.5)]);
            var b = new HostMatrix(n, k, [.. Enumerable.Range(0, n * k).Select(_ => random.NextDouble() - 0.5)]);
            HostMatrix product = a.TimesTransposed(b);
            HostMatrix same = a.Times(b.Transposed());
            Assert.That(same.Values, Is.EqualTo(product.Values));
            for (int i = 0; i < m; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    double sum = 0;
                    for (int e = 0; e < k; e++)
                        sum += a[i, e] * b[j, e];
                    if (!(Math.Abs(product[i, j] - sum) <= 1e-14 * k))
                        Assert.Fail($"[{i}, {j}] of {m}x{n}x{k} is {product[i, j]}, expected {sum}");
                }
            }
        }
    }
}
