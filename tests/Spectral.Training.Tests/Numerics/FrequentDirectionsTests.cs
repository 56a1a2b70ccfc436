using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Numerics;

/// <summary>The sketch keeps its promise on streams of random vectors, by an independent SVD in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FrequentDirectionsTests(DeviceKind kind)
{
    /// <summary>
    /// 0 ≼ AᵀA − SᵀS, and its largest eigenvalue is at most ‖A − A_j‖²/(k + 1 − j) for every j ≤ k.
    /// </summary>
    [TestCase(3, 7, 1, 40)]
    [TestCase(4, 9, 3, 14)]
    [TestCase(5, 5, 2, 20)]
    [TestCase(6, 11, 6, 5)]
    [TestCase(1, 3, 2, 9)]
    public void TheErrorIsWithinTheBound(int kept, int length, int atOnce, int times)
    {
        var random = new Random((kept * 100) + length);
        var sketch = new HostMatrix(kept, length);
        var all = new List<double>();
        for (int i = 0; i < times; i++)
        {
            // Directions of very different weight, as those of gradients.
            double[] values =
            [
                .. Enumerable
                    .Range(0, atOnce * length)
                    .Select(j => (random.NextDouble() - 0.5) * Math.Pow(0.5, j % length)),
            ];
            all.AddRange(values);
            sketch = FrequentDirections.Add(Devices.Get(kind), sketch, new HostMatrix(atOnce, length, values));
        }

        var a = Dense.Of(times * atOnce, length, [.. all]);
        var s = Dense.Of(kept, length, sketch.Values);
        double[] errors = Eigenvalues(a.Transposed * a - (s.Transposed * s));
        (_, double[] values2, _) = JacobiSvd.Of(a);
        double rounding = 1e-12 * values2[0] * values2[0];
        Assert.That(errors.Min(), Is.GreaterThanOrEqualTo(-rounding));
        for (int j = 0; j <= Math.Min(kept, length); j++)
        {
            double tail = values2.Skip(j).Sum(value => value * value);
            Assert.That(errors.Max(), Is.LessThanOrEqualTo((tail / (kept + 1 - j)) + rounding), $"rank {j}");
        }
    }

    [TestCase(1.0, 3)]
    [TestCase(0.95, 2)]
    [TestCase(0.8, 1)]
    public void AShareOfTheEnergyTakesTheLargestFirst(double energy, int expected)
    {
        var sketch = new HostMatrix(4, 4, [3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0]);
        Assert.That(FrequentDirections.CountFor(sketch, energy), Is.EqualTo(expected), "9, 1 and 1/4 of 10 1/4");
    }

    /// <summary>Returns the eigenvalues of a symmetric matrix: its singular values, with the signs of u·v.</summary>
    private static double[] Eigenvalues(Dense symmetric)
    {
        (Dense u, double[] values, Dense v) = JacobiSvd.Of(symmetric);
        return
        [
            .. values.Select(
                (value, i) => value * Math.Sign(Enumerable.Range(0, symmetric.Rows).Sum(row => u[row, i] * v[row, i]))
            ),
        ];
    }
}
