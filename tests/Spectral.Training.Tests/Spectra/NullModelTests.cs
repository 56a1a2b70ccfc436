using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Random updates as the yardstick, the rounding floor, and the verdicts that follow.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class NullModelTests(DeviceKind kind) : SpectraTest(kind)
{
    private static readonly SpectraOptions Drawn = new()
    {
        Draws = 8,
        TopK = 8,
        Ranks = [8],
        IncludesQuarter = false,
    };

    [Test]
    public void ARandomUpdateIsWithinChance()
    {
        (Dense before, _, _) = Weight(48, 40);
        var random = new Random(21);
        Dense after = before + 0.02 * Dense.Of(48, 40, (_, _) => random.NextNormal());
        MatrixSpectra spectra = Analyze(before, after, Drawn with { Draws = 20 });
        Assert.That(spectra.Null.Draws, Is.EqualTo(20));
        foreach (NullComparison comparison in spectra.Null.Comparisons)
        {
            foreach (NullStatistic statistic in new[] { comparison.Gaussian, comparison.Permuted })
            {
                // Student's t with 19 degrees of freedom is beyond 5 once in 10000: with 60 of them, a wrong scale
                // shows and chance does not.
                Assert.That(
                    statistic.Z,
                    Is.NaN.Or.InRange(-5, 5),
                    $"{comparison.Quantity} k {comparison.K} {comparison.Bin}: {comparison.Observed} "
                        + $"against {statistic}"
                );
            }
        }

        Assert.That(spectra.Null.Comparisons.Count(comparison => double.IsNaN(comparison.Gaussian.Z)), Is.Zero);
        Assert.That(
            (spectra.Verdict.AmplifiesTop, spectra.Verdict.ReorientsTop, spectra.Verdict.RestStable),
            Is.EqualTo(((bool?)false, (bool?)false, (bool?)false))
        );
    }

    [Test]
    public void MeansAreThoseOfRandomMatrices()
    {
        (Dense before, _, _) = Weight(48, 40);
        var random = new Random(22);
        MatrixSpectra spectra = Analyze(
            before,
            before + 0.02 * Dense.Of(48, 40, (_, _) => random.NextNormal()),
            Drawn with
            {
                Draws = 20,
            }
        );
        UpdateEnergy energy = spectra.Energy.First(energy => energy.K == 8);
        Assert.That(
            spectra.Null[SpectraQuantity.TopTop, 8].Gaussian.Mean,
            Is.EqualTo(energy.RandomTopTop).Within(0.15 * energy.RandomTopTop),
            "(k/out)(k/in)"
        );
        Assert.That(
            spectra.Null[SpectraQuantity.BottomBottom, 8].Permuted.Mean,
            Is.EqualTo(energy.RandomBottomBottom).Within(0.02)
        );
        Assert.That(spectra.Null[SpectraQuantity.Diagonal, 8].Gaussian.Mean, Is.EqualTo(1 / 8.0).Within(0.05));
        // ‖G‖₂ ≈ (√48 + √40) σ against ‖G‖_F² = 48·40 σ².
        Assert.That(
            spectra.Null[SpectraQuantity.StableRank].Gaussian.Mean,
            Is.EqualTo(48 * 40 / Math.Pow(Math.Sqrt(48) + Math.Sqrt(40), 2)).Within(1.5)
        );
    }

    [Test]
    public void ScalingTheTopAmplifiesItAndLeavesTheRest()
    {
        (Dense before, Dense u, Dense v) = Weight(48, 40);
        double[] s = Values(40);
        double[] scaled = [.. s.Select((value, i) => i < 8 ? 1.3 * value : value)];
        Verdict verdict = Analyze(before, Compose(u, scaled, v), Drawn).Verdict;
        Assert.That(
            (verdict.AmplifiesTop, verdict.ReorientsTop, verdict.RestStable),
            Is.EqualTo(((bool?)true, (bool?)false, (bool?)true))
        );
        Assert.That(verdict.TopRelative, Is.EqualTo(0.3).Within(1e-9));
        Assert.That(verdict.RestMagnitude, Is.EqualTo(0).Within(1e-9));
        Assert.That(verdict.Lines, Has.Count.EqualTo(3));
        Assert.That(
            verdict.Lines[0],
            Does.StartWith("amplifies the top: 100.0 % of the change of values is growth of the top 8")
        );
        Assert.That(verdict.Lines[2], Does.StartWith("leaves the rest as it was"));
    }

    [Test]
    public void TurningTopVectorsOutOfTheirSpanReorientsThem()
    {
        // The top eight left vectors, with values far above the others, turn by 30 degrees into directions outside all
        // old ones; no value changes.
        var random = new Random(23);
        Dense all = Orthonormal(random, 60, 48);
        Dense v = Orthonormal(random, 40, 40);
        var u = Dense.Of(60, 40, (i, j) => all[i, j]);
        double[] s = [.. Values(40).Select((value, i) => i < 8 ? 5 * value : value)];
        (double sine, double cosine) = Math.SinCos(Math.PI / 6);
        var turned = Dense.Of(60, 40, (i, j) => j < 8 ? cosine * all[i, j] + sine * all[i, 40 + j] : all[i, j]);
        Verdict verdict = Analyze(Compose(u, s, v), Compose(turned, s, v), Drawn).Verdict;
        Assert.That((verdict.AmplifiesTop, verdict.ReorientsTop), Is.EqualTo(((bool?)false, (bool?)true)));
        Assert.That(verdict.TopTurned, Is.EqualTo(sine * sine / 2).Within(1e-9), "1 - cos² on one side of two");
    }

    [Test]
    public void RoundingIsNotMeasurable()
    {
        (Dense before, _, _) = Weight(48, 40);
        var rounded = Dense.Of(48, 40, (i, j) => BFloat16.Round((float)before[i, j]));
        MatrixSpectra spectra = Analyze(before, rounded, Drawn, StoredType.BF16);
        Assert.That(spectra.Noise.Measurable, Is.False);
        Assert.That(spectra.Noise.Ratio, Is.EqualTo(Math.Sqrt(0.5)).Within(0.05), "one rounding, where two types are");
        Assert.That(
            (spectra.Verdict.AmplifiesTop, spectra.Verdict.Measurable, spectra.Verdict.Unchanged),
            Is.EqualTo(((bool?)null, false, false))
        );
        Assert.That(spectra.Verdict.Lines.Single(), Does.Contain("not measurable"));
        NullComparison magnitude = spectra.Null[SpectraQuantity.Magnitude, bin: "rest"];
        Assert.That(magnitude.Observed, Is.InRange(0.3 * magnitude.Floor, 2 * magnitude.Floor));
        Assert.That(
            Analyze(before, rounded, Drawn with { FloorRatio = 0.5 }, StoredType.BF16).Noise.Measurable,
            Is.True,
            "the limit is an option"
        );
    }

    [TestCase(StoredType.BF16, 1.66e-3)]
    [TestCase(StoredType.F16, 2.1e-4)]
    [TestCase(StoredType.F32, 2.5e-8)]
    public void FloorOfGaussianWeights(StoredType type, double expected)
    {
        // In their usual size: F16 has fewer bits for weights below 6·10⁻⁵.
        var random = new Random(24);
        var weight = Dense.Of(80, 90, (_, _) => 0.5 * random.NextNormal());
        Assert.That(
            Analyze(weight, weight, type: type).Noise.Relative,
            Is.EqualTo(expected * Math.Sqrt(2)).Within(0.05 * expected)
        );
        var alone = new WeightPair("w", Host(weight), Host(weight))
        {
            BaseType = type,
            TunedType = type,
            BaseIsExact = true,
        };
        Assert.That(
            NoiseFloor.Of(alone, Math.Sqrt(Host(weight).SquaredNorm()), 0, Drawn).Relative,
            Is.EqualTo(expected).Within(0.05 * expected)
        );
    }

    [Test]
    public void NothingChanged()
    {
        (Dense before, _, _) = Weight(20, 12);
        MatrixSpectra spectra = Analyze(before, before, Drawn);
        Assert.That(spectra.Verdict.Unchanged, Is.True);
        Assert.That(spectra.Verdict.Lines, Is.EqualTo(new[] { "unchanged" }));
        Assert.That(spectra.Values.Change.Concat(spectra.Values.Relative), Is.All.Zero);
        Assert.That(spectra.Vectors.MatchedLeft.Concat(spectra.Vectors.BestRight), Is.All.EqualTo(1).Within(Rounding));
        Assert.That(spectra.Vectors.Clusters, Is.Empty);
        Assert.That(
            (spectra.Null.Draws, spectra.Null.Comparisons.Count, spectra.Update.Vectors),
            Is.EqualTo((0, 0, 0))
        );
        Assert.That(spectra.Energy[0].TopTop, Is.NaN);
        Assert.That(spectra.Values.BoundsHold, Is.True);
    }

    [Test]
    public void ZerosAsBaseOrTuned()
    {
        (Dense weight, _, _) = Weight(9, 6);
        Dense zeros = 0 * weight;
        MatrixSpectra born = Analyze(zeros, weight, Drawn);
        MatrixSpectra gone = Analyze(weight, zeros, Drawn);
        Assert.That(born.Values.Relative, Is.All.NaN);
        Assert.That(gone.Values.Relative, Is.All.EqualTo(-1).Within(Rounding));
        Assert.That(gone.Ranks.Tuned.Stable, Is.NaN);
        Assert.That(Analyze(zeros, zeros, Drawn).Verdict.Lines, Is.EqualTo(new[] { "unchanged" }));
    }

    [Test]
    public void SameSeedSameDraws()
    {
        (Dense before, _, _) = Weight(16, 16);
        var random = new Random(25);
        Dense after = before + 0.05 * Dense.Of(16, 16, (_, _) => random.NextNormal());
        NullModel one = Analyze(before, after, Drawn).Null;
        NullModel again = Analyze(before, after, Drawn).Null;
        NullModel other = Analyze(before, after, Drawn with { Seed = 1 }).Null;
        Assert.That(again.Comparisons, Is.EqualTo(one.Comparisons));
        NullComparison first = one[SpectraQuantity.FirstRatio];
        NullComparison second = other[SpectraQuantity.FirstRatio];
        Assert.That(second.Gaussian.Mean, Is.Not.EqualTo(first.Gaussian.Mean));
        Assert.That(second.Permuted.Mean, Is.Not.EqualTo(first.Permuted.Mean));
    }

    [Test]
    public void RandomUpdatesKeepSizeAndEntries()
    {
        var random = new Random(26);
        HostMatrix update = Host(Dense.Of(13, 11, (_, _) => random.NextNormal()));
        var updates = new RandomUpdates("w", update, Device, 0);
        Assert.That(updates.Gaussian(0).SquaredNorm(), Is.EqualTo(update.SquaredNorm()).Within(1e-10));
        Assert.That(updates.Gaussian(1).Values, Is.Not.EqualTo(updates.Gaussian(0).Values));
        Assert.That(updates.Permuted(0).Values, Is.EquivalentTo(update.Values).And.Not.EqualTo(update.Values));
        Assert.That(updates.Permuted(1).Values, Is.Not.EqualTo(updates.Permuted(0).Values));
    }

    [Test]
    public void RandomizedDecompositionsHaveANullModelToo()
    {
        (Dense before, Dense u, Dense v) = Weight(70, 60);
        double[] scaled = [.. Values(60).Select((value, i) => i < 1 ? 1.3 * value : value)];
        MatrixSpectra spectra = Analyze(
            before,
            Compose(u, scaled, v),
            new SpectraOptions
            {
                Draws = 4,
                TopK = 4,
                Ranks = [4],
                Svd = SvdMethod.Randomized,
                RandomizedRank = 12,
            }
        );
        Assert.That(spectra.Verdict.AmplifiesTop, Is.True);
        Assert.That(
            spectra.Null[SpectraQuantity.BottomBottom, 4].Gaussian.Mean,
            Is.EqualTo(66 / 70.0 * 56 / 60).Within(0.02)
        );
    }

    /// <summary>A weight whose values fall slowly, as those of trained ones do.</summary>
    private static (Dense Weight, Dense U, Dense V) Weight(int rows, int columns)
    {
        var random = new Random(rows + columns);
        Dense u = Orthonormal(random, rows, columns);
        Dense v = Orthonormal(random, columns, columns);
        return (Compose(u, Values(columns), v), u, v);
    }

    private static double[] Values(int n) => [.. Enumerable.Range(0, n).Select(i => 2 / (1 + 0.2 * i))];
}
