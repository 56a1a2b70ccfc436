using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SmallSvdTests(DeviceKind kind) : SvdTest(kind)
{
    private static readonly (string Name, Func<int, int, double> Sigma)[] Spectra =
    [
        ("linear", (i, n) => 1 - i / (double)n),
        ("twelve decades", (i, n) => Math.Pow(10, -12.0 * i / n)),
        ("equal", (i, n) => 1),
        ("half zero", (i, n) => 2 * i < n ? 1.0 / (i + 1) : 0),
        ("zero", (i, n) => 0),
    ];

    [Test]
    public void BothSolversDecompose(
        [Values(1, 2, 3, 24, 33, 95, 144)] int n,
        [ValueSource(nameof(SpectrumNames))] string spectrum,
        [Values] bool oneBlock
    )
    {
        var known = new KnownMatrix(Rng, n, n, i => Spectra.Single(s => s.Name == spectrum).Sigma(i, n));
        Tensor a = Input(known.Values, (n, n), DType.F32, out double[] values);
        Tensor left = Output((n, n));
        Tensor s = Output(n);
        Tensor right = Output((n, n));
        int sweeps;
        using (SmallSvd.Outcome outcome = SmallSvd.Run(a, left, s, right, Where(oneBlock, n)))
        {
            sweeps = outcome.Sweeps();
        }

        double[] p = Doubles(left);
        double[] sigma = Doubles(s);
        double[] rt = Doubles(right);
        double[] pt = new double[n * n];
        for (int i = 0; i < n * n; i++)
            pt[i % n * n + i / n] = p[i];
        // F64 inside: what is left is the rounding of each entry to F32
        Assert.That(Deviation(pt, n, n), Is.LessThanOrEqualTo(5e-7), "left vectors");
        Assert.That(Deviation(rt, n, n), Is.LessThanOrEqualTo(5e-7), "right vectors");
        for (int i = 0; i < n; i++)
        {
            Assert.That(
                sigma[i],
                Is.EqualTo(known.Sigma[i]).Within(2e-7 * Math.Max(1, n / 24.0)),
                $"value {i}: the matrix itself is rounded to F32"
            );
            if (i > 0)
                Assert.That(sigma[i], Is.LessThanOrEqualTo(sigma[i - 1]));
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int c = 0; c < n; c++)
                    sum += p[i * n + c] * sigma[c] * rt[c * n + j];
                Assert.That(sum, Is.EqualTo(values[i * n + j]).Within(1e-6), $"product at {i}, {j}");
            }
        }
        TestContext.Out.WriteLine($"{sweeps} sweeps");
        // Columns of very different lengths converge slowly at first: there the kernel's own limit, past which Sweeps
        // throws, is all that is promised.
        if (oneBlock && spectrum != "twelve decades")
            Assert.That(sweeps, Is.LessThanOrEqualTo(12));
    }

    [Test]
    public void OneBlockHasALimit()
    {
        Tensor a = Output((145, 145));
        Tensor left = Output((145, 145));
        Tensor s = Output(145);
        Tensor right = Output((145, 145));
        Assert.That(
            () => SmallSvd.Run(a, left, s, right, SmallProblems.OneBlock),
            Throws.ArgumentException.With.Message.Contains("145")
        );
    }

    [Test]
    public void TheInverseFactorMakesTheGramMatrixTheIdentity(
        [Values(1, 2, 31, 32, 33, 144)] int n,
        [Values] bool oneBlock
    )
    {
        Tensor x = Input((n, 2 * n + 1), DType.F32, out _);
        Tensor inverse = Output((n, n));
        using var gram = Tensor.Empty(Device, (n, n), DType.F64);
        using var status = Tensor.Zeros(Device, 1, DType.I32);
        Gram.Run(x, gram);
        using (Tensor batch = gram.View((1, n, n)))
            CholeskyInverse.Run(batch, inverse, status.Pointer, 0, 0, 0, Where(oneBlock, n));
        Assert.That(status.ToInt32Array()[0], Is.Zero);
        double[] g = gram.ToDoubleArray();
        double[] w = Doubles(inverse);
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int a = 0; a <= i; a++)
                {
                    for (int b = 0; b <= j; b++)
                        sum += w[i * n + a] * g[a * n + b] * w[j * n + b];
                }

                Assert.That(sum, Is.EqualTo(i == j ? 1 : 0).Within(1e-5), $"at {i}, {j}");
                if (j > i)
                    Assert.That(w[i * n + j], Is.Zero, "lower triangular");
            }
        }
    }

    [Test]
    public void APivotThatIsNotPositiveIsReported([Values] bool oneBlock)
    {
        float[] host = [1, 0, 0, 0, 1, 0, 1, 1, 0]; // row 2 = row 0 + row 1
        Tensor x = Input(host, (3, 3), DType.F32, out _);
        Tensor inverse = Output((3, 3));
        using var gram = Tensor.Empty(Device, (3, 3), DType.F64);
        using var status = Tensor.Zeros(Device, 1, DType.I32);
        Gram.Run(x, gram);
        using (Tensor batch = gram.View((1, 3, 3)))
            CholeskyInverse.Run(batch, inverse, status.Pointer, 0, -1e-15, 0, Where(oneBlock, 3));
        Assert.That(status.ToInt32Array()[0], Is.EqualTo(3));
    }

    [Test]
    public void APivotBelowTheLeastOneIsReportedForItsMatrixAlone([Values] bool oneBlock)
    {
        float[] host =
        [
            1,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            1, /* second matrix: rows 0 and 2 are nearly parallel */
            1,
            0,
            0,
            0,
            1,
            0,
            1,
            0,
            0.001f,
        ];
        Tensor x = Input(host, (6, 3), DType.F32, out _);
        Tensor inverse = Output((2, 3, 3));
        using var grams = Tensor.Empty(Device, (2, 3, 3), DType.F64);
        using var status = Tensor.Zeros(Device, 4, DType.I32);
        Gram.Run(new GemmOperand(x, 0, 3, 9), 3, grams, 0, 0);
        CholeskyInverse.Run(grams, inverse, status.Pointer, 2, 0, 1e-5, Where(oneBlock, 3)); // the last pivot is 1e-6
        Assert.That(status.ToInt32Array(), Is.EqualTo(new[] { 0, 0, 3, 0 }));
        status.Clear();
        CholeskyInverse.Run(grams, inverse, status.Pointer, 2, 0, 1e-7, Where(oneBlock, 3));
        Assert.That(status.ToInt32Array(), Is.EqualTo(new int[4]));
    }

    [Test]
    public void ABatchGivesWhatEachMatrixGives([Values(5, 40)] int n)
    {
        const int Batch = 3;
        const int Stride = 150;
        Tensor a = Input((Batch * n, n), DType.F32, out _);
        Tensor left = Output((Batch, n, n));
        Tensor right = Output((Batch, n, n));
        using var report = Tensor.Zeros(Device, (Batch, Stride));
        using Tensor all = a.View((Batch, n, n));
        SmallSvd.Run(
            all,
            left,
            report.Pointer,
            right,
            report.Pointer + (ulong)(Stride - 1) * sizeof(float),
            Stride,
            SmallProblems.OneBlock
        );
        float[] values = report.ToArray();
        for (int b = 0; b < Batch; b++)
        {
            Tensor oneLeft = Output((n, n));
            Tensor oneValues = Output(n);
            Tensor oneRight = Output((n, n));
            using Tensor one = a.Rows(b * n, n);
            using Tensor leftOfIt = left.Rows(b, 1);
            using Tensor rightOfIt = right.Rows(b, 1);
            using (SmallSvd.Outcome outcome = SmallSvd.Run(one, oneLeft, oneValues, oneRight, SmallProblems.OneBlock))
            {
                Assert.That(
                    BitConverter.SingleToInt32Bits(values[b * Stride + Stride - 1]),
                    Is.EqualTo(outcome.Sweeps())
                );
            }

            Assert.That(values.AsSpan(b * Stride, n).ToArray(), Is.EqualTo(oneValues.ToArray()));
            Assert.That(leftOfIt.ToArray(), Is.EqualTo(oneLeft.ToArray()));
            Assert.That(rightOfIt.ToArray(), Is.EqualTo(oneRight.ToArray()));
        }
    }

    private static string[] SpectrumNames() => Spectra.Select(s => s.Name).ToArray();
}
