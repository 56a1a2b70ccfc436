using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>
/// The analysis against plain formulas on a plain SVD, and the randomized one against the exact one within its own
/// bounds.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ReferenceSpectraTests(DeviceKind kind) : SpectraTest(kind)
{
    [TestCase(7, 33)]
    [TestCase(33, 7)]
    [TestCase(48, 48)]
    [TestCase(61, 32)]
    [TestCase(1, 5)]
    [TestCase(1, 1)]
    [TestCase(2, 2)]
    [TestCase(5, 3)]
    public void AnyMatrices(int rows, int columns)
    {
        var random = new Random(rows * 1000 + columns);
        var before = Dense.Of(rows, columns, (_, _) => random.NextNormal());
        Dense after = before + 0.3 * Dense.Of(rows, columns, (_, _) => random.NextNormal());
        (Dense u0, double[] s0, Dense v0) = JacobiSvd.Of(before);
        (Dense u1, double[] s1, Dense v1) = JacobiSvd.Of(after);
        Dense update = after - before;
        double[] changes = JacobiSvd.Of(update).Values;
        MatrixSpectra spectra = Analyze(before, after);
        int n = s0.Length;
        Dense left = u0.Transposed * u1;
        Dense right = v0.Transposed * v1;
        Dense framed = u0.Transposed * update * v0;
        // Vectors are as exact as the gaps between values allow.
        double vectors = 1e-13 * s0[0] / Math.Max(1e-3, LeastGap(s0, s1));
        for (int i = 0; i < n; i++)
        {
            Assert.That(spectra.Values.Base[i], Is.EqualTo(s0[i]).Within(1e-13 * s0[0]));
            Assert.That(spectra.Values.Tuned[i], Is.EqualTo(s1[i]).Within(1e-13 * s1[0]));
            Assert.That(spectra.Values.Relative[i], Is.EqualTo((s1[i] - s0[i]) / s0[i]).Within(1e-12 * s0[0] / s0[i]));
            Assert.That(spectra.Values.FirstOrder[i], Is.EqualTo(framed[i, i]).Within(vectors));
            Assert.That(spectra.Vectors.MatchedLeft[i], Is.EqualTo(Math.Abs(left[i, i])).Within(vectors));
            Assert.That(spectra.Vectors.MatchedRight[i], Is.EqualTo(Math.Abs(right[i, i])).Within(vectors));
            Assert.That(
                spectra.Vectors.BestLeft[i],
                Is.EqualTo(Enumerable.Range(0, n).Max(j => Math.Abs(left[j, i]))).Within(vectors)
            );
            Assert.That(
                spectra.Vectors.BestRight[i],
                Is.EqualTo(Enumerable.Range(0, n).Max(j => Math.Abs(right[j, i]))).Within(vectors)
            );
            Assert.That(spectra.Update.Values[i], Is.EqualTo(changes[i]).Within(1e-13 * s0[0]));
        }
        double whole = update.Values.Sum(value => value * value);
        double absolute = s1.Zip(s0, (one, zero) => Math.Abs(one - zero)).Sum();
        foreach (int k in new[] { 1, 2, 4 }.Where(k => k < n))
        {
            double topTop = Squares(framed, k, k);
            UpdateEnergy energy = spectra.Energy.First(energy => energy.K == k);
            Assert.That(energy.TopTop, Is.EqualTo(topTop / whole).Within(vectors));
            Assert.That(
                energy.TopBottom,
                Is.EqualTo((Squares(u0.Transposed * update, k, columns) - topTop) / whole).Within(vectors)
            );
            Assert.That(energy.BottomTop, Is.EqualTo((Squares(update * v0, rows, k) - topTop) / whole).Within(vectors));
            Assert.That(
                energy.TopTop + energy.TopBottom + energy.BottomTop + energy.BottomBottom,
                Is.EqualTo(1).Within(Rounding)
            );
            Assert.That(
                spectra.Amplification.First(share => share.K == k).Share,
                Is.EqualTo(Enumerable.Range(0, k).Sum(i => Math.Max(0, s1[i] - s0[i])) / absolute).Within(1e-11)
            );
            double[] cosines = JacobiSvd.Of(Dense.Of(k, k, (i, j) => left[i, j])).Values;
            SubspaceSide side = spectra.Subspaces.First(angles => angles.K == k && !angles.Bottom).Left;
            Assert.That(
                side.Angles,
                Is.EqualTo(cosines.Select(cosine => Math.Acos(Math.Min(1, cosine)) * 180 / Math.PI)).Within(1e-4),
                "degrees, from cosines alone"
            );
            Assert.That(side.Similarity, Is.EqualTo(cosines.Sum(cosine => cosine * cosine) / k).Within(vectors));
        }
        Assert.That(
            spectra.Ranks.Tuned.Stable,
            Is.EqualTo(s1.Sum(value => value * value) / (s1[0] * s1[0])).Within(1e-11)
        );
        double entropy = -s1.Sum(value => value / s1.Sum() * Math.Log(value / s1.Sum()));
        Assert.That(spectra.Ranks.Tuned.Effective, Is.EqualTo(Math.Exp(entropy)).Within(1e-10));
        Assert.That(spectra.Values.BoundsHold, Is.True);
        Assert.That(
            spectra.Norms.Relative,
            Is.EqualTo(Math.Sqrt(whole / before.Values.Sum(value => value * value))).Within(1e-13)
        );
    }

    [TestCase(130, 90)]
    [TestCase(90, 130)]
    public void RandomizedWithinItsOwnBounds(int rows, int columns)
    {
        // Values that fall like 1/i, some of them scaled: the sketch of 40 finds the first 12 well, but not to F64
        // rounding.
        var random = new Random(3);
        int n = Math.Min(rows, columns);
        Dense u = Orthonormal(random, rows, n);
        Dense v = Orthonormal(random, columns, n);
        double[] s = [.. Enumerable.Range(1, n).Select(i => 1.0 / i)];
        double[] scaled = [.. s.Select((value, i) => i % 5 == 0 ? 1.1 * value : value)];
        Dense before = Compose(u, s, v);
        Dense after = Compose(u, scaled, v);
        SpectraOptions options = NoDraws with { Svd = SvdMethod.Randomized, RandomizedRank = 12 };
        MatrixSpectra sketched = Analyze(before, after, options);
        MatrixSpectra exact = Analyze(before, after, options with { Svd = SvdMethod.Exact });
        Assert.That(
            (sketched.Svd.Method, sketched.Svd.Computed, sketched.Svd.Truncated, sketched.Intruders.TruncatedSearch),
            Is.EqualTo(("randomized", 12, true, true))
        );
        Assert.That((exact.Svd.Method, exact.Svd.Computed, exact.Svd.Truncated), Is.EqualTo(("exact", n, false)));
        foreach (
            (double[] found, double[] errors, double residual, double[] all) in new[]
            {
                (sketched.Values.Base, sketched.Svd.BaseErrors, sketched.Svd.BaseResidual, exact.Values.Base),
                (sketched.Values.Tuned, sketched.Svd.TunedErrors, sketched.Svd.TunedResidual, exact.Values.Tuned),
            }
        )
        {
            for (int i = 0; i < 12; i++)
            {
                Assert.That(
                    all.Min(value => Math.Abs(value - found[i])),
                    Is.LessThanOrEqualTo(errors[i] + 1e-14),
                    $"value {i} of the bound {errors[i]}"
                );
                Assert.That(errors[i], Is.LessThan(0.02 * all[0]), "the bound says something");
                Assert.That(
                    found[i],
                    Is.EqualTo(all[i]).Within(1e-6 * all[0]),
                    "and is cautious: the error of values is quadratic in that of vectors"
                );
            }
            Assert.That(
                residual,
                Is.GreaterThanOrEqualTo(all[12]),
                "nothing of rank 12 leaves less than the value after it"
            );
        }
        for (int i = 0; i < 8; i++)
        {
            Assert.That(sketched.Vectors.MatchedLeft[i], Is.EqualTo(exact.Vectors.MatchedLeft[i]).Within(1e-4));
            Assert.That(sketched.Values.FirstOrder[i], Is.EqualTo(exact.Values.FirstOrder[i]).Within(1e-5));
        }
        Assert.That(
            sketched.Energy.First(energy => energy.K == 4).BottomBottom,
            Is.EqualTo(exact.Energy.First(energy => energy.K == 4).BottomBottom).Within(1e-5)
        );
        Assert.That(sketched.Ranks.Base.Effective, Is.NaN, "needs all values");
        Assert.That(sketched.Bins[3].Relative, Is.NaN, "beyond what was computed");
        Assert.That(sketched.Bins[0].Relative, Is.EqualTo(exact.Bins[0].Relative).Within(1e-6));
        Assert.That(sketched.Subspaces.Any(angles => angles.Bottom), Is.False);
    }

    [Test]
    public void ErrorsOfASketchThatHasNotSettledAreBounded()
    {
        // A flat spectrum: the sketch is far from the leading values, and says so.
        var random = new Random(8);
        var before = Dense.Of(150, 140, (_, _) => random.NextNormal());
        Dense after = before + 0.1 * Dense.Of(150, 140, (_, _) => random.NextNormal());
        MatrixSpectra sketched = Analyze(
            before,
            after,
            NoDraws with
            {
                Svd = SvdMethod.Randomized,
                RandomizedRank = 4,
            }
        );
        double[] all = Analyze(before, after).Values.Base;
        double[] distances = [.. sketched.Values.Base.Select(found => all.Min(value => Math.Abs(value - found)))];
        for (int i = 0; i < 4; i++)
            Assert.That(distances[i], Is.LessThanOrEqualTo(sketched.Svd.BaseErrors[i]));
        Assert.That(
            distances.Max(),
            Is.GreaterThan(1e-5 * sketched.Svd.BaseErrors.Max()),
            "a bound a hundred thousand times smaller would not hold"
        );
        Assert.That(sketched.Svd.BaseResidual, Is.GreaterThanOrEqualTo(all[4]));
    }

    [Test]
    public void RandomizedUpdateOfLowRankHasAnEffectiveRank()
    {
        var random = new Random(4);
        Dense u = Orthonormal(random, 60, 3);
        Dense v = Orthonormal(random, 50, 3);
        var before = Dense.Of(60, 50, (_, _) => random.NextNormal());
        Dense after = before + Compose(u, [2, 1, 1], v);
        SpectrumRank rank = Analyze(
            before,
            after,
            NoDraws with
            {
                Svd = SvdMethod.Randomized,
                RandomizedRank = 8,
            }
        ).Ranks.Change;
        Assert.That(
            rank.EffectiveEnergy,
            Is.EqualTo(Math.Exp(-(4 / 6.0 * Math.Log(4 / 6.0)) - 2 * (1 / 6.0 * Math.Log(1 / 6.0)))).Within(1e-5),
            "all its energy is in the values computed"
        );
        Assert.That(rank.Energy90, Is.EqualTo(3));
    }

    private static double Squares(Dense matrix, int rows, int columns)
    {
        double sum = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                sum += matrix[i, j] * matrix[i, j];
        }

        return sum;
    }

    private static double LeastGap(params double[][] spectra) =>
        spectra.Min(values =>
            values.Length < 2 ? values[0] : Enumerable.Range(1, values.Length - 1).Min(i => values[i - 1] - values[i])
        );
}
