using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Tests the comparison with independent entries on matrices whose law is known.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class IndependenceTests(DeviceKind kind) : SpectraTest(kind)
{
    [Test]
    public void TheLawIsTheIntegralOfItsDensity([Values(0.05, 0.4, 0.93, 1)] double ratio)
    {
        double low = Math.Pow(1 - Math.Sqrt(ratio), 2);
        double high = Math.Pow(1 + Math.Sqrt(ratio), 2);
        foreach (double part in new[] { 0.01, 0.2, 0.5, 0.9, 0.999 })
        {
            // Midpoints over the angle φ of x = low + (high − low)(1 − cos φ)/2, in which the density is smooth.
            const int Steps = 20_000;
            double end = Math.PI * part;
            double sum = 0;
            for (int i = 0; i < Steps; i++)
            {
                double angle = end * (i + 0.5) / Steps;
                double at = low + ((high - low) * (1 - Math.Cos(angle)) / 2);
                double density = Math.Sqrt((high - at) * (at - low)) / (2 * Math.PI * ratio * at);
                sum += density * (high - low) * Math.Sin(angle) / 2 * end / Steps;
            }
            double x = low + ((high - low) * (1 - Math.Cos(end)) / 2);
            Assert.That(MarchenkoPastur.Distribution(x, ratio), Is.EqualTo(sum).Within(1e-7), $"at {x}");
            Assert.That(MarchenkoPastur.Quantile(sum, ratio), Is.EqualTo(x).Within(1e-5));
        }
        Assert.That(MarchenkoPastur.Distribution(low - 1e-9, ratio), Is.Zero);
        Assert.That(MarchenkoPastur.Distribution(high + 1e-9, ratio), Is.EqualTo(1));
    }

    [Test]
    public void SquareMatricesFollowTheQuarterCircle([Values(0.001, 0.3, 1.1, 1.99)] double value)
    {
        double expected = ((value * Math.Sqrt(4 - (value * value)) / 2) + (2 * Math.Asin(value / 2))) / Math.PI;
        Assert.That(MarchenkoPastur.Distribution(value * value, 1), Is.EqualTo(expected).Within(1e-12));
    }

    [TestCase(120, 80)]
    [TestCase(80, 120)]
    [TestCase(96, 96)]
    public void IndependentEntriesAreWithinTheLaw(int rows, int columns)
    {
        Dense before = Gaussian(new Random(11), rows, columns, 0.02);
        Dense update = Gaussian(new Random(12), rows, columns, 0.001);
        MatrixIndependence found = Analyze(before, before + update).Independence;
        foreach (EntryIndependence entries in new[] { found.Base, found.Tuned, found.Change })
        {
            foreach (LineCorrelation lines in new[] { entries.Rows, entries.Columns })
            {
                Assert.That(lines.MeanSquareZ, Is.InRange(-4, 4));
                Assert.That(lines.MeanSpreadZ, Is.InRange(-4, 4));
                Assert.That(lines.NeighboursZ, Is.InRange(-4, 4));
                Assert.That(lines.Largest, Is.LessThan(lines.LargestLimit));
            }
            Assert.That(entries.Spectrum.Beyond, Is.Zero);
            Assert.That(entries.Spectrum.EnergyBeyond, Is.Zero);
            Assert.That(entries.Spectrum.Distance, Is.LessThan(3.0 / Math.Min(rows, columns)));
            Assert.That(entries.Spectrum.Truncated, Is.False);
        }
        double deviation = Math.Sqrt(before.Values.Sum(value => value * value) / before.Values.Length);
        Assert.That(
            found.Base.Spectrum.Edge,
            Is.EqualTo(deviation * (Math.Sqrt(rows) + Math.Sqrt(columns))).Within(1e-4 * found.Base.Spectrum.Edge),
            "up to the mean of the entries"
        );
    }

    [Test]
    public void OneInAHundredMatricesIsBeyondTheLimits()
    {
        const int Draws = 600;
        var random = new Random(13);
        int beyond = 0;
        int correlated = 0;
        double z = 0;
        double squares = 0;
        for (int draw = 0; draw < Draws; draw++)
        {
            HostMatrix matrix = Host(Gaussian(random, 24, 40, 1));
            var found = EntryIndependence.Of(matrix, EntryStatistics.Of(matrix), Triplets.Exact(Device, matrix));
            beyond += found.Spectrum.Beyond;
            correlated += found.Rows.Largest > found.Rows.LargestLimit ? 1 : 0;
            z += found.Rows.MeanSquareZ / Draws;
            squares += found.Rows.MeanSquareZ * found.Rows.MeanSquareZ / Draws;
        }
        // Both limits hold for large matrices and are not exact here.
        Assert.That(beyond, Is.InRange(1, 20), $"of {Draws}, σ1 of Johnstone");
        Assert.That(correlated, Is.InRange(0, 15), $"of {Draws}, largest correlation of Jiang");
        Assert.That(z, Is.EqualTo(0).Within(0.15), "the mean of z");
        Assert.That(squares, Is.EqualTo(1).Within(0.25), "the mean of z²");
    }

    [Test]
    public void ASharedPartOfAllRowsIsFound()
    {
        // Rows a·c + √(1 − a²)·noise have the correlation ρ = a²v / (a²v + 1 − a²), v the variance of c, so the mean
        // square times (n − 1) is about ρ² (n − 1) + (1 − ρ²)².
        const double Shared = 0.5;
        var random = new Random(14);
        Dense noise = Gaussian(random, 100, 300, 1);
        Dense common = Gaussian(random, 1, 300, 1);
        var planted = Dense.Of(
            100,
            300,
            (i, j) => (Shared * common[0, j]) + (Math.Sqrt(1 - (Shared * Shared)) * noise[i, j])
        );
        EntryIndependence found = Analyze(planted, planted + Gaussian(random, 100, 300, 0.1)).Independence.Base;
        double mean = common.Values.Average();
        double signal = Shared * Shared * common.Values.Average(value => (value - mean) * (value - mean));
        double square = Math.Pow(signal / (signal + 1 - (Shared * Shared)), 2);
        Assert.That(
            found.Rows.MeanSquare,
            Is.EqualTo((square * 299) + ((1 - square) * (1 - square))).Within(5).Percent
        );
        Assert.That(found.Rows.MeanSquareZ, Is.GreaterThan(100));
        Assert.That(found.Columns.MeanSpread, Is.GreaterThan(20), "the columns' means vary with the shared part");
        Assert.That(found.Spectrum.Beyond, Is.EqualTo(1), "the shared part is one spike");
    }

    [Test]
    public void TwoEqualRowsAreFoundByTheLargestCorrelation()
    {
        Dense noise = Gaussian(new Random(15), 90, 70, 1);
        var twins = Dense.Of(90, 70, (i, j) => noise[i == 60 ? 7 : i, j]);
        LineCorrelation rows = Analyze(noise, twins).Independence.Tuned.Rows;
        Assert.That(rows.Largest, Is.EqualTo(1).Within(Rounding));
        Assert.That(rows.LargestLimit, Is.LessThan(0.7));
        Assert.That(rows.MeanSquareZ, Is.InRange(-4, 4), "one pair of 4005 does not move the mean");
    }

    [TestCase(1.5)]
    [TestCase(3)]
    public void ASpikeIsBeyondTheEdgeWhereTheoryPutsIt(double strength)
    {
        // Entries of variance 1/m plus θ u vᵀ: the spike's value tends to √((1 + θ²)(γ + θ²)) / θ
        // (Benaych-Georges and Nadakuditi 2012).
        const int Rows = 150;
        const int Columns = 250;
        var random = new Random(16);
        Dense u = Orthonormal(random, Rows, 1);
        Dense v = Orthonormal(random, Columns, 1);
        Dense planted = Gaussian(random, Rows, Columns, 1 / Math.Sqrt(Columns)) + (strength * Outer(u, 0, v, 0));
        MatrixSpectra spectra = Analyze(planted, planted + Gaussian(random, Rows, Columns, 1e-3));
        MarchenkoPastur spectrum = spectra.Independence.Base.Spectrum;
        double ratio = Rows / (double)Columns;
        double square = strength * strength;
        double expected = Math.Sqrt((1 + square) * (ratio + square)) / strength;
        Assert.That(spectrum.Beyond, Is.EqualTo(1));
        Assert.That(spectra.Values.Base[0], Is.EqualTo(expected).Within(4).Percent);
        Assert.That(
            spectrum.EnergyBeyond,
            Is.EqualTo(Math.Pow(spectra.Values.Base[0], 2) / planted.Values.Sum(value => value * value))
                .Within(Rounding)
        );
        Assert.That(spectrum.Limit, Is.GreaterThan(spectrum.Edge).And.LessThan(1.05 * spectrum.Edge));
    }

    [Test]
    public void NeighboursOfAMovingAverageAreFound()
    {
        // x_j + x_{j+1} has the correlation ½ with its neighbour along the rows, and none along the columns.
        Dense noise = Gaussian(new Random(17), 60, 201, 1);
        var smooth = Dense.Of(60, 200, (i, j) => noise[i, j] + noise[i, j + 1]);
        EntryIndependence found = Analyze(smooth, smooth + Gaussian(new Random(18), 60, 200, 0.1)).Independence.Base;
        Assert.That(found.Rows.Neighbours, Is.EqualTo(0.5).Within(0.03));
        Assert.That(found.Rows.NeighboursZ, Is.GreaterThan(40));
        Assert.That(found.Columns.NeighboursZ, Is.InRange(-4, 4));
    }

    [TestCase(3, 3)]
    [TestCase(7, 33)]
    [TestCase(33, 7)]
    public void NumbersAreThoseOfTheirDefinitions(int rows, int columns)
    {
        Dense matrix = Gaussian(new Random(19), rows, columns, 2);
        LineCorrelation found = Analyze(
            matrix,
            matrix + Gaussian(new Random(20), rows, columns, 1)
        ).Independence.Base.Rows;
        double mean = matrix.Values.Average();
        double variance = matrix.Values.Average(value => (value - mean) * (value - mean));
        double[] means = [.. Enumerable.Range(0, rows).Select(i => Row(i).Average())];
        double sum = 0;
        double largest = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < i; j++)
            {
                double correlation = Covariance(i, j) / Math.Sqrt(Covariance(i, i) * Covariance(j, j));
                sum += correlation * correlation;
                largest = Math.Max(largest, Math.Abs(correlation));
            }
        }
        double neighbours = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 1; j < columns; j++)
                neighbours += (matrix[i, j - 1] - mean) * (matrix[i, j] - mean);
        }
        Assert.That(found.Lines, Is.EqualTo(rows));
        Assert.That(
            found.MeanSquare,
            Is.EqualTo(sum / (rows * (rows - 1) / 2) * (columns - 1)).Within(Rounding * columns)
        );
        Assert.That(found.Largest, Is.EqualTo(largest).Within(Rounding));
        Assert.That(
            found.MeanSpread,
            Is.EqualTo(means.Sum(one => (one - mean) * (one - mean)) / (rows - 1) * columns / variance)
                .Within(Rounding * columns)
        );
        Assert.That(found.Neighbours, Is.EqualTo(neighbours / (rows * (columns - 1)) / variance).Within(Rounding));

        double[] Row(int i) => matrix.Values[(i * columns)..((i + 1) * columns)];
        double Covariance(int i, int j) => Row(i).Zip(Row(j), (a, b) => (a - means[i]) * (b - means[j])).Sum();
    }

    [Test]
    public void WhatDoesNotVaryIsUndefined()
    {
        Dense before = Gaussian(new Random(21), 9, 12, 1);
        EntryIndependence unchanged = Analyze(before, before).Independence.Change;
        Assert.That(unchanged.Rows.MeanSquare, Is.NaN);
        Assert.That(unchanged.Columns.Neighbours, Is.NaN);
        Assert.That(unchanged.Spectrum.Distance, Is.NaN);
        Assert.That(unchanged.Spectrum.Beyond, Is.Zero);
        var update = Dense.Of(9, 12, (i, j) => i < 2 ? before[i, j] : 0);
        Assert.That(Analyze(before, before + update).Independence.Change.Rows.Lines, Is.EqualTo(2));
    }

    [Test]
    public void AMissingTailLeavesACountAndNoDistance()
    {
        Dense noise = Gaussian(new Random(22), 60, 80, 0.01);
        Dense u = Orthonormal(new Random(23), 60, 6);
        Dense v = Orthonormal(new Random(24), 80, 6);
        Dense planted = noise + Compose(u, [6, 5, 4, 3, 2.5, 2], v);
        SpectraOptions few = NoDraws with { Svd = Kernels.Linalg.SvdMethod.Randomized, RandomizedRank = 4 };
        MarchenkoPastur spectrum = Analyze(planted, planted + noise, few).Independence.Base.Spectrum;
        Assert.That((spectrum.Beyond, spectrum.Truncated), Is.EqualTo((4, true)));
        Assert.That(spectrum.Distance, Is.NaN);
    }

    private static Dense Gaussian(Random random, int rows, int columns, double deviation) =>
        Dense.Of(rows, columns, (_, _) => deviation * random.NextNormal());
}
