using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>The SVD in F64: factors and product to double rounding, for every shape.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DoubleSvdTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void FactorsAreOrthonormalAndGiveTheMatrix(
        [Values(1, 2, 7, 33, 127)] int rows,
        [Values(1, 2, 33, 64)] int columns
    )
    {
        double[] a = Random(rows * columns);
        var svd = DoubleSvd.Compute(Device, a, rows, columns);
        int n = Math.Min(rows, columns);
        Assert.That((svd.Left.Length, svd.Values.Length, svd.Right.Length), Is.EqualTo((n * rows, n, n * columns)));
        double rounding = 1e-14 * (rows + columns);
        for (int i = 0; i < n; i++)
        {
            if (i > 0)
                Assert.That(svd.Values[i], Is.InRange(0, svd.Values[i - 1]));
            for (int j = 0; j <= i; j++)
            {
                Assert.That(Dot(svd.Left, i, j, rows), Is.EqualTo(i == j ? 1 : 0).Within(rounding), $"left {i}, {j}");
                Assert.That(
                    Dot(svd.Right, i, j, columns),
                    Is.EqualTo(i == j ? 1 : 0).Within(rounding),
                    $"right {i}, {j}"
                );
            }
            double[] right = svd.Right[(i * columns)..((i + 1) * columns)];
            Assert.That(right.MaxBy(Math.Abs), Is.GreaterThan(0), $"sign of pair {i}");
        }
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double sum = Enumerable
                    .Range(0, n)
                    .Sum(k => svd.Left[k * rows + i] * svd.Values[k] * svd.Right[k * columns + j]);
                Assert.That(sum, Is.EqualTo(a[i * columns + j]).Within(rounding * svd.Values[0]), $"entry {i}, {j}");
            }
        }

        double[] alone = DoubleSvd.ValuesOf(Device, a, rows, columns);
        for (int i = 0; i < n; i++)
            Assert.That(alone[i], Is.EqualTo(svd.Values[i]).Within(rounding * svd.Values[0]));
    }

    [Test]
    public void SmallDifferencesOfValuesSurvive()
    {
        // F32 would not see a change in the tenth digit.
        double[] a = new double[9];
        (a[0], a[4], a[8]) = (3, 2, 1 + 1e-10);
        Assert.That(DoubleSvd.ValuesOf(Device, a, 3, 3)[2], Is.EqualTo(1 + 1e-10).Within(1e-15));
    }

    [Test]
    public void ZerosHaveOrthonormalVectors()
    {
        var svd = DoubleSvd.Compute(Device, new double[15], 5, 3);
        Assert.That(svd.Values, Is.EqualTo(new double[3]));
        for (int i = 0; i < 3; i++)
        {
            for (int j = 0; j < 3; j++)
            {
                Assert.That(
                    (Dot(svd.Left, i, j, 5), Dot(svd.Right, i, j, 3)),
                    Is.EqualTo((i == j ? 1.0 : 0, i == j ? 1.0 : 0))
                );
            }
        }
    }

    [Test]
    public void BadArguments()
    {
        Assert.That(
            () => DoubleSvd.Compute(Device, new double[5], 2, 3),
            Throws.ArgumentException.With.Message.Contains("5 values for a matrix [2, 3]")
        );
        Assert.That(() => DoubleSvd.Compute(Device, [], 0, 3), Throws.ArgumentException);
        Assert.That(
            () => DoubleSvd.ValuesOf(Device, [1, double.NaN], 1, 2),
            Throws.ArgumentException.With.Message.Contains("NaN")
        );
    }

    private double[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => Rng.NextNormal())];

    private static double Dot(double[] vectors, int i, int j, int length) =>
        Enumerable.Range(0, length).Sum(e => vectors[i * length + e] * vectors[j * length + e]);
}
