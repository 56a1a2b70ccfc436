using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Updates whose every effect is known in closed form.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class KnownChangeTests(DeviceKind kind) : SpectraTest(kind)
{
    private static readonly (int Out, int In)[] Shapes = [(7, 33), (33, 7), (24, 24), (127, 64)];

    [TestCaseSource(nameof(Shapes))]
    public void ScaledTopValues((int Out, int In) shape)
    {
        (Dense u, double[] s, Dense v) = Base(shape);
        int n = s.Length;
        double[] factors = [1.3, 1.2, 1.1, 1.05];
        double[] scaled = [.. s.Select((value, i) => i < 4 ? value * factors[i] : value)];
        MatrixSpectra spectra = Analyze(Compose(u, s, v), Compose(u, scaled, v));
        double change = Math.Sqrt(Enumerable.Range(0, 4).Sum(i => Square(s[i] * (factors[i] - 1))));
        for (int i = 0; i < n; i++)
        {
            double factor = i < 4 ? factors[i] - 1 : 0;
            Assert.That(spectra.Values.Base[i], Is.EqualTo(s[i]).Within(Rounding * s[0]));
            Assert.That(spectra.Values.Relative[i], Is.EqualTo(factor).Within(Rounding * s[0]), $"value {i}");
            Assert.That(
                spectra.Values.FirstOrder[i],
                Is.EqualTo(factor * s[i]).Within(Rounding * s[0]),
                "nothing turned: first order is all"
            );
            Assert.That(spectra.Vectors.MatchedLeft[i], Is.EqualTo(1).Within(Rounding));
            Assert.That(spectra.Vectors.MatchedRight[i], Is.EqualTo(1).Within(Rounding));
            Assert.That(
                (spectra.Vectors.BestLeftPosition[i], spectra.Vectors.BestRightPosition[i]),
                Is.EqualTo((i + 1, i + 1))
            );
        }
        Assert.That(spectra.Values.FirstOrderCorrelation, Is.EqualTo(1).Within(Rounding));
        Assert.That(spectra.Norms.Change, Is.EqualTo(change).Within(Rounding * s[0]));
        Assert.That(spectra.Values.SpectralBound, Is.EqualTo(0.3 * s[0]).Within(Rounding * s[0]));
        Assert.That(
            spectra.Values.FirstRatio,
            Is.EqualTo(1).Within(Rounding),
            "the largest part of the update is along the first pair"
        );
        Assert.That(spectra.Values.BoundsHold, Is.True);
        Assert.That(spectra.Values.TaskDirections[..3], Is.EqualTo(new[] { 1, 2, 3 }));
        Amplification amplification = spectra.Amplification.First(share => share.K == spectra.TopK);
        int top = Math.Min(4, n / 2);
        double grown = Enumerable.Range(0, 4).Sum(i => s[i] * (factors[i] - 1));
        Assert.That(
            amplification.Share,
            Is.EqualTo(Enumerable.Range(0, top).Sum(i => s[i] * (factors[i] - 1)) / grown).Within(1e-9)
        );
        Assert.That(amplification.Uniform, Is.EqualTo((double)top / n));
        UpdateEnergy energy = spectra.Energy.First(energy => energy.K == 4);
        Assert.That((energy.TopTop, energy.Diagonal), Is.EqualTo((1.0, 1.0)).Using(Near()));
        Assert.That(energy.TopBottom + energy.BottomTop + energy.BottomBottom, Is.EqualTo(0).Within(Rounding));
        foreach (SubspaceAngles angles in spectra.Subspaces)
        {
            Assert.That(angles.Left.Largest, Is.EqualTo(0).Within(1e-9), $"k {angles.K}, in degrees");
            Assert.That(angles.Right.Similarity, Is.EqualTo(1).Within(Rounding));
        }
        Assert.That(
            spectra.Intruders.Counts.Sum(count => count.LeftPositions.Length + count.RightPositions.Length),
            Is.Zero
        );
        Assert.That(
            (spectra.Module, spectra.Layer, spectra.Out, spectra.In),
            Is.EqualTo(("up_proj", 3, shape.Out, shape.In))
        );
    }

    [Test]
    public void ATurnedPairOfVectors([Values(0.0001, 5, 40)] double degrees, [Values] bool left)
    {
        // Vectors 2 and 5 of one side turn within their plane.
        (Dense u, double[] s, Dense v) = Base((31, 26));
        Dense turned = Turned(left ? u : v, 1, 4, degrees);
        MatrixSpectra spectra = Analyze(Compose(u, s, v), left ? Compose(turned, s, v) : Compose(u, s, turned));
        double cosine = Math.Cos(degrees * Math.PI / 180);
        (double[] moved, double[] still) = left
            ? (spectra.Vectors.MatchedLeft, spectra.Vectors.MatchedRight)
            : (spectra.Vectors.MatchedRight, spectra.Vectors.MatchedLeft);
        for (int i = 0; i < s.Length; i++)
        {
            Assert.That(moved[i], Is.EqualTo(i is 1 or 4 ? cosine : 1).Within(Rounding), $"vector {i}");
            Assert.That(still[i], Is.EqualTo(1).Within(Rounding), $"vector {i} of the other side");
            Assert.That(spectra.Values.Change[i], Is.EqualTo(0).Within(Rounding * s[0]));
        }
        foreach (SubspaceAngles angles in spectra.Subspaces)
        {
            (SubspaceSide side, SubspaceSide other) = left ? (angles.Left, angles.Right) : (angles.Right, angles.Left);
            // A span that holds one of the two turns by the angle; one that holds both or neither stays.
            double expected = !angles.Bottom && angles.K is 2 or 4 ? degrees : 0;
            Assert.That(side.Largest, Is.EqualTo(expected).Within(1e-9), $"k {angles.K}");
            Assert.That(side.Angles[..^1], Is.All.EqualTo(0).Within(1e-9));
            Assert.That(side.Mean, Is.EqualTo(expected / angles.K).Within(1e-9));
            Assert.That(side.Geodesic, Is.EqualTo(expected * Math.PI / 180).Within(1e-11));
            Assert.That(
                side.Similarity,
                Is.EqualTo(1 - Square(Math.Sin(expected * Math.PI / 180)) / angles.K).Within(Rounding)
            );
            Assert.That(side.RandomSimilarity, Is.EqualTo(angles.K / (left ? 31.0 : 26)));
            Assert.That(other.Largest, Is.EqualTo(0).Within(1e-9));
        }
    }

    [Test]
    public void SwappedNeighboursTurnNoSpan()
    {
        (Dense u, double[] s, Dense v) = Base((20, 18));
        double[] swapped = [.. s];
        (swapped[2], swapped[3]) = (swapped[3], swapped[2]);
        VectorAlignment vectors = Analyze(Compose(u, s, v), Compose(u, swapped, v)).Vectors;
        foreach ((int i, int j) in new[] { (2, 3), (3, 2) })
        {
            Assert.That(vectors.MatchedLeft[i], Is.EqualTo(0).Within(Rounding));
            Assert.That(vectors.BestLeft[i], Is.EqualTo(1).Within(Rounding));
            Assert.That((vectors.BestLeftPosition[i], vectors.BestRightPosition[i]), Is.EqualTo((j + 1, j + 1)));
        }
        Assert.That(vectors.BestLeftPosition[4], Is.EqualTo(5));
    }

    [Test]
    public void ClosePairsAreClusters()
    {
        // 10, 9.9 | 5, 4.95, 4.9 | 2 | 1.5: an update of norm 0.3 mixes what a bar does not part.
        (Dense u, _, Dense v) = Base((12, 7));
        double[] s = [10, 9.9, 5, 4.95, 4.9, 2, 1.5];
        Dense turned = Turned(u, 0, 1, 60);
        Dense before = Compose(u, s, v);
        Dense after = before + 0.3 * Outer(u, 6, v, 6);
        MatrixSpectra spectra = Analyze(before, after);
        Assert.That(
            spectra.Vectors.Clusters.Select(cluster => (cluster.First, cluster.Last)),
            Is.EqualTo(new[] { (1, 2), (3, 5) })
        );
        Assert.That(spectra.Vectors.Clustered, Is.EqualTo(new[] { true, true, true, true, true, false, false }));
        Assert.That(spectra.Vectors.Gap[1], Is.EqualTo(0.1 / 9.9).Within(Rounding));
        Assert.That(spectra.Vectors.Gap[5], Is.EqualTo(0.25).Within(Rounding));

        // Turning within the cluster moves its vectors and not their span; ‖Δ‖ is below 0.3 since the values are close.
        Dense rotated = Compose(turned, s, Turned(v, 0, 1, 60)) + 0.1 * Outer(u, 6, v, 6);
        VectorAlignment vectors = Analyze(before, rotated).Vectors;
        Assert.That(vectors.MatchedLeft[0], Is.EqualTo(0.5).Within(1e-6));
        Assert.That(vectors.Clusters[0].LeftSimilarity, Is.EqualTo(1).Within(Rounding));
        Assert.That(vectors.StableLeft[0], Is.EqualTo(1).Within(Rounding));
        Assert.That(vectors.StableLeft[6], Is.EqualTo(vectors.MatchedLeft[6]));
    }

    [Test]
    public void AnOrthogonalDirectionIsAnIntruderAtItsPosition([Values(1, 4, 9)] int position, [Values] bool left)
    {
        // The last triplet gets a new left vector, outside the span of all old ones, and a value that takes it to the
        // position.
        const int N = 9;
        var random = new Random(5);
        Dense u = Orthonormal(random, 20, N + 1);
        Dense v = Orthonormal(random, N, N);
        var span = Dense.Of(20, N, (i, j) => u[i, j]);
        double[] s = Descending(N);
        double value = position == N ? 0.5 : s[position - 1] + 0.5;
        Dense before = Compose(span, s, v);
        Dense after = before + -s[^1] * Outer(u, N - 1, v, N - 1) + value * Outer(u, N, v, N - 1);
        MatrixSpectra spectra = left ? Analyze(before, after) : Analyze(before.Transposed, after.Transposed);
        Assert.That(spectra.Intruders.TruncatedSearch, Is.False);
        foreach (IntruderCount count in spectra.Intruders.Counts)
        {
            (int[] there, int[] notThere) = left
                ? (count.LeftPositions, count.RightPositions)
                : (count.RightPositions, count.LeftPositions);
            Assert.That(there, Is.EqualTo(new[] { position }), $"threshold {count.Threshold}");
            Assert.That(notThere, Is.Empty);
            Assert.That(left ? count.Left : count.Right, Is.EqualTo(1));
        }
        MatrixSpectra few = left
            ? Analyze(before, after, NoDraws with { IntruderSearch = 3 })
            : Analyze(before.Transposed, after.Transposed, NoDraws with { IntruderSearch = 3 });
        Assert.That(
            few.Intruders.Counts.Select(count => left ? count.Left : count.Right),
            Is.All.EqualTo(position <= 3 ? 1 : 0),
            "counted among the first three alone"
        );
    }

    [TestCase(0.55, 1)]
    [TestCase(0.65, 0)]
    public void ThresholdsOfIntruders(double cosine, int expected)
    {
        // The first left vector keeps this much of its old self, the rest of it is new.
        var random = new Random(6);
        Dense u = Orthonormal(random, 16, 7);
        Dense v = Orthonormal(random, 6, 6);
        double[] s = Descending(6);
        Dense before = Compose(Dense.Of(16, 6, (i, j) => u[i, j]), s, v);
        var tuned = Dense.Of(
            16,
            6,
            (i, j) => j > 0 ? u[i, j] : cosine * u[i, 0] + Math.Sqrt(1 - cosine * cosine) * u[i, 6]
        );
        Intruders intruders = Analyze(before, Compose(tuned, s, v)).Intruders;
        Assert.That(
            intruders.Counts.Select(count => (count.Threshold, count.Left)),
            Is.EqualTo(new[] { (0.3, 0), (0.4, 0), (0.5, 0), (0.6, expected) })
        );
    }

    [Test]
    public void EnergyOfEachBlock()
    {
        // k = 4: triplet 1 is in T, triplet 9 in B; column 10 of u is outside the span of all left vectors.
        var random = new Random(7);
        Dense u = Orthonormal(random, 15, 11);
        Dense v = Orthonormal(random, 10, 10);
        var span = Dense.Of(15, 10, (i, j) => u[i, j]);
        Dense before = Compose(span, Descending(10), v);
        (Dense Update, double[] Shares)[] cases =
        [
            (Outer(u, 0, v, 2), [1, 0, 0, 0]),
            (Outer(u, 0, v, 8), [0, 1, 0, 0]),
            (Outer(u, 8, v, 0), [0, 0, 1, 0]),
            (Outer(u, 8, v, 9), [0, 0, 0, 1]),
            (Outer(u, 10, v, 0), [0, 0, 1, 0]),
            (Outer(u, 10, v, 7), [0, 0, 0, 1]),
            (Outer(u, 0, v, 0) + Outer(u, 1, v, 5) + Outer(u, 6, v, 2) + Outer(u, 7, v, 8), [0.25, 0.25, 0.25, 0.25]),
        ];
        foreach ((Dense update, double[] shares) in cases)
        {
            MatrixSpectra tall = Analyze(before, before + 0.1 * update);
            MatrixSpectra wide = Analyze(before.Transposed, before.Transposed + 0.1 * update.Transposed);
            UpdateEnergy energy = tall.Energy.First(energy => energy.K == 4);
            UpdateEnergy mirrored = wide.Energy.First(energy => energy.K == 4);
            double[] found = [energy.TopTop, energy.TopBottom, energy.BottomTop, energy.BottomBottom];
            double[] other = [mirrored.TopTop, mirrored.BottomTop, mirrored.TopBottom, mirrored.BottomBottom];
            for (int i = 0; i < 4; i++)
            {
                Assert.That(found[i], Is.EqualTo(shares[i]).Within(Rounding), $"block {i}");
                Assert.That(other[i], Is.EqualTo(shares[i]).Within(Rounding), $"block {i} of the transposed");
            }
            Assert.That(energy.RandomTopBottom, Is.EqualTo(4 / 15.0 * 0.6).Within(Rounding));
            Assert.That(
                energy.RandomTopTop + energy.RandomTopBottom + energy.RandomBottomTop + energy.RandomBottomBottom,
                Is.EqualTo(1).Within(Rounding)
            );
        }
        Assert.That(
            Analyze(before, before + 0.1 * (Outer(u, 0, v, 0) + 2 * Outer(u, 1, v, 2)))
                .Energy.First(energy => energy.K == 4)
                .Diagonal,
            Is.EqualTo(0.2).Within(Rounding)
        );
    }

    [Test]
    public void TheUpdatesOwnSpectrum()
    {
        (Dense u, double[] s, Dense v) = Base((18, 14));
        Dense before = Compose(u, s, v);
        Dense update = 3 * Outer(u, 0, v, 10) + 1 * Outer(u, 12, v, 1);
        MatrixSpectra spectra = Analyze(before, before + update);
        Assert.That(spectra.Update.Values[..3], Is.EqualTo(new[] { 3.0, 1, 0 }).Within(1e-12));
        Assert.That(spectra.Ranks.Change.Stable, Is.EqualTo(10 / 9.0).Within(Rounding));
        Assert.That(
            spectra.Ranks.Change.Effective,
            Is.EqualTo(Math.Exp(-0.75 * Math.Log(0.75) - 0.25 * Math.Log(0.25))).Within(1e-9)
        );
        Assert.That(
            spectra.Ranks.Change.EffectiveEnergy,
            Is.EqualTo(Math.Exp(-0.9 * Math.Log(0.9) - 0.1 * Math.Log(0.1))).Within(Rounding)
        );
        // 90 % of the energy are in the first vector, up to rounding: both counts are right.
        UpdateAlignment alignment = spectra.Update.Alignment.First(alignment => alignment.K == 4);
        Assert.That(
            (alignment.Left, alignment.Right),
            Is.EqualTo(spectra.Update.Vectors == 1 ? (1.0, 0.0) : (0.5, 0.5)).Using(Near())
        );
        Assert.That((alignment.RandomLeft, alignment.RandomRight), Is.EqualTo((4 / 18.0, 4 / 14.0)));
    }

    private static (Dense U, double[] S, Dense V) Base((int Out, int In) shape)
    {
        var random = new Random(11);
        int n = Math.Min(shape.Out, shape.In);
        return (
            Orthonormal(random, shape.Out, n),
            [.. Descending(n).Select(value => 2 * value)],
            Orthonormal(random, shape.In, n)
        );
    }

    private static Dense Turned(Dense vectors, int i, int j, double degrees)
    {
        (double sine, double cosine) = Math.SinCos(degrees * Math.PI / 180);
        return Dense.Of(
            vectors.Rows,
            vectors.Columns,
            (row, column) =>
            {
                if (column == i)
                    return cosine * vectors[row, i] + sine * vectors[row, j];
                return column == j ? cosine * vectors[row, j] - sine * vectors[row, i] : vectors[row, column];
            }
        );
    }

    private static double Square(double x) => x * x;

    private static Comparison<(double, double)> Near() =>
        (a, b) => Math.Abs(a.Item1 - b.Item1) <= Rounding && Math.Abs(a.Item2 - b.Item2) <= Rounding ? 0 : 1;
}
