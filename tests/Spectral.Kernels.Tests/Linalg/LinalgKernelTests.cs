using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>The memory-bound kernels of the linear algebra against plain loops.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LinalgKernelTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ScanFindsNormAndLargest(
        [ValueSource(nameof(Sizes))] int rows,
        [Values(1, 5, 130)] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor x = Input((rows, columns), type, out double[] values);
        (double norm, double largest) = MatrixScan.Run(x);
        double expected = Math.Sqrt(values.Sum(v => v * v));
        Assert.That(norm, Is.EqualTo(expected).Within(1e-12 * expected), "sums are F64");
        Assert.That(largest, Is.EqualTo(values.Max(Math.Abs)));
        using Tensor odd = x.Rows(rows - 1, 1); // an address that is not a multiple of 16
        Assert.That(MatrixScan.Run(odd).Largest, Is.EqualTo(values.TakeLast(columns).Max(Math.Abs)));
    }

    [Test]
    public void ScanSeesNonFiniteValuesAnywhere(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 4095, 4096, 9999)] int at,
        [Values(float.NaN, float.NegativeInfinity)] float bad
    )
    {
        float[] host = new float[10000];
        host[at] = bad;
        Tensor x = Input(host, (100, 100), type, out _);
        Assert.That(MatrixScan.Run(x).Largest, Is.EqualTo(double.PositiveInfinity));
    }

    [Test]
    public void Copies(
        [Values(1, 7, 300)] int rows,
        [Values(1, 33, 130)] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor x = Input((rows, columns), type, out double[] values);
        Tensor y = Output((rows, columns));
        Tensor t = Output((columns, rows));
        MatrixCopy.Run(x, y, 0.25f);
        Verify(y, values.Select(v => v / 4).ToArray());
        MatrixCopy.Transpose(x, t, 2);
        Verify(t, Enumerable.Range(0, values.Length).Select(i => 2 * values[i % rows * columns + i / rows]).ToArray());
    }

    [Test]
    public void GramMatrices([Values(1, 2, 5, 33, 64)] int rows, [Values(1, 7, 8, 255, 256, 257, 1003)] int columns)
    {
        Tensor x = Input((rows, columns), DType.F32, out double[] values);
        using var gram = Tensor.Empty(Device, (rows, rows), DType.F64);
        using var deviation = Tensor.Zeros(Device, 1, DType.I32);
        Gram.Run(x, gram, deviation.Pointer);
        double[] actual = gram.ToDoubleArray();
        double worst = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < rows; j++)
            {
                double dot = 0;
                double size = 0;
                for (int e = 0; e < columns; e++)
                {
                    dot += values[i * columns + e] * values[j * columns + e];
                    size += Math.Abs(values[i * columns + e] * values[j * columns + e]);
                }
                Assert.That(
                    actual[i * rows + j],
                    Is.EqualTo(dot).Within(1e-14 * size + 1e-300),
                    $"[{i}, {j}], sums are F64"
                );
                worst = Math.Max(worst, Math.Abs(dot - (i == j ? 1 : 0)));
            }
        }

        Assert.That(
            BitConverter.Int32BitsToSingle(deviation.ToInt32Array()[0]),
            Is.EqualTo(worst).Within(1e-5).Percent
        );
    }

    [Test]
    public void ADeviationOfNaNIsNaN()
    {
        Tensor x = Input([1, 0, float.NaN, 0, 1, 0], (2, 3), DType.F32, out _);
        using var gram = Tensor.Empty(Device, (2, 2), DType.F64);
        using var deviation = Tensor.Zeros(Device, 1, DType.I32);
        Gram.Run(x, gram, deviation.Pointer);
        Assert.That(BitConverter.Int32BitsToSingle(deviation.ToInt32Array()[0]), Is.NaN);
    }

    [Test]
    public void GaussianEntriesDependOnTheirPlaceAlone()
    {
        Tensor large = Output((23, 517));
        Tensor small = Output((9, 100));
        Tensor other = Output((9, 100));
        GaussianMatrix.Run(large, 11, 5);
        GaussianMatrix.Run(small, 11, 5);
        GaussianMatrix.Run(other, 11, 6);
        float[] l = large.ToArray();
        float[] s = small.ToArray();
        for (int j = 0; j < 9; j++)
        {
            for (int i = 0; i < 100; i++)
                Assert.That(s[j * 100 + i], Is.EqualTo(l[j * 517 + i]));
        }

        Assert.That(other.ToArray(), Is.Not.EqualTo(s));
    }

    [Test]
    public void GaussianEntriesAreNormal()
    {
        Tensor y = Output((64, 4096));
        GaussianMatrix.Run(y, 1, 2);
        double[] values = Array.ConvertAll(y.ToArray(), x => (double)x);
        double n = values.Length;
        double mean = values.Average();
        double variance = values.Sum(x => x * x) / n;
        double fourth = values.Sum(x => x * x * x * x) / n;
        double sigmas = 5 / Math.Sqrt(n); // five standard deviations of each estimate
        Assert.That(mean, Is.EqualTo(0).Within(sigmas));
        Assert.That(variance, Is.EqualTo(1).Within(sigmas * Math.Sqrt(2)));
        Assert.That(fourth, Is.EqualTo(3).Within(sigmas * Math.Sqrt(96)));
        double along = 0;
        for (int j = 0; j < 64; j++)
        {
            for (int i = 0; i + 1 < 4096; i++)
                along += values[j * 4096 + i] * values[j * 4096 + i + 1];
        }

        Assert.That(along / n, Is.EqualTo(0).Within(sigmas));
        for (int j = 0; j < 64; j++)
        {
            for (int other = 0; other < j; other++)
            {
                double dot = 0;
                for (int i = 0; i < 4096; i++)
                    dot += values[j * 4096 + i] * values[other * 4096 + i];
                Assert.That(
                    dot / 4096,
                    Is.EqualTo(0).Within(6.5 / 64),
                    $"vectors {other} and {j}: six and a half deviations for the most of 2016 pairs"
                );
            }
        }
    }
}
