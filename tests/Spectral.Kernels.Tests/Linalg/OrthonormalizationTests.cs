using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OrthonormalizationTests(DeviceKind kind) : SvdTest(kind)
{
    [Test]
    public void SpansTheSameRows(
        [Values(1, 2, 17, 48, 144)] int l,
        [Values(144, 500, 1001)] int n,
        [Values] bool oneBlock
    )
    {
        Tensor x = Input((l, n), DType.F32, out double[] values);
        Tensor q = Output((l, n));
        Orthonormalization.Rows(x, q, Where(oneBlock, l));
        double[] basis = Doubles(q);
        Assert.That(Deviation(basis, l, n), Is.LessThanOrEqualTo(5e-6));
        Assert.That(Outside(values, basis, l, n), Is.LessThanOrEqualTo(1e-5));
    }

    // The condition number decides the method: CholeskyQR2 works until the F32 inverse of the factor loses the first
    // pass, the shifted one goes further, and dependent rows are for Householder alone.
    [TestCase(1e1, OrthonormalizationMethod.CholeskyQr2)]
    [TestCase(1e2, OrthonormalizationMethod.CholeskyQr2)]
    [TestCase(1e4, null)]
    [TestCase(1e5, null)]
    [TestCase(1e6, OrthonormalizationMethod.ShiftedCholeskyQr3)]
    [TestCase(1e12, null)]
    public void IllConditionedRowsFallBack(double condition, OrthonormalizationMethod? expected)
    {
        const int L = 32;
        const int N = 2000;
        var known = new KnownMatrix(Rng, L, N, i => Math.Pow(condition, -i / (L - 1.0)));
        Tensor x = Input(known.Values, (L, N), DType.F32, out double[] values);
        Tensor q = Output((L, N));
        foreach (SmallProblems where in new[] { SmallProblems.OneBlock, SmallProblems.Library })
        {
            OrthonormalizationMethod method = Orthonormalization.Rows(x, q, where);
            TestContext.Out.WriteLine($"{condition:g1} {where}: {method}, deviation {Deviation(Doubles(q), L, N):g2}");
            if (expected is not null)
                Assert.That(method, Is.EqualTo(expected));
            Assert.That(Deviation(Doubles(q), L, N), Is.LessThanOrEqualTo(1e-5));
            Assert.That(Outside(values, Doubles(q), L, N), Is.LessThanOrEqualTo(1e-5));
        }
    }

    [Test]
    public void DependentAndZeroRowsAreCompleted([Values] bool zeros)
    {
        const int L = 20;
        const int N = 300;
        float[] host = new float[L * N];
        for (int i = 0; i < N; i++)
            host[i] = host[7 * N + i] = zeros ? 0 : (float)Rng.NextNormal();
        Tensor x = Input(host, (L, N), DType.F32, out double[] values);
        Tensor q = Output((L, N));
        Assert.That(Orthonormalization.Rows(x, q), Is.EqualTo(OrthonormalizationMethod.Householder));
        Assert.That(Deviation(Doubles(q), L, N), Is.LessThanOrEqualTo(1e-5));
        Assert.That(Outside(values, Doubles(q), L, N), Is.LessThanOrEqualTo(1e-5));
    }

    // A row close to those before it, and later rows along what little is new in it: what Cholesky passes lose, and
    // orthonormality does not show.
    [Test]
    public void ADirectionThatALaterRowNeedsIsNotLost(
        [Values(1e-2, 1e-3, 1e-4, 1e-5)] double apart,
        [Values] bool oneBlock
    )
    {
        const int L = 6;
        const int N = 34;
        Tensor x = Input((L, N), DType.F32, out _);
        Tensor q = Output((L, N));
        float[] host = x.ToArray();
        for (int i = 0; i < N; i++)
            host[2 * N + i] = host[i] - host[N + i] + (float)apart * host[3 * N + i];
        x.CopyFrom(host);
        Orthonormalization.Rows(x, q, Where(oneBlock, L));
        Assert.That(Deviation(Doubles(q), L, N), Is.LessThanOrEqualTo(1e-5));
        Assert.That(Outside(Doubles(x), Doubles(q), L, N), Is.LessThanOrEqualTo(3e-6));
    }

    [Test]
    public void BadlyScaledRowsNeedNoFallback()
    {
        const int L = 12;
        const int N = 400;
        Tensor x = Input((L, N), DType.F32, out double[] values);
        Tensor q = Output((L, N));
        float[] host = x.ToArray();
        for (int i = 0; i < host.Length; i++)
            host[i] *= MathF.Pow(10, i / N - 6);
        x.CopyFrom(host);
        Assert.That(Orthonormalization.Rows(x, q), Is.EqualTo(OrthonormalizationMethod.CholeskyQr2));
        Assert.That(Deviation(Doubles(q), L, N), Is.LessThanOrEqualTo(5e-6));
    }

    [Test]
    public void ManyRowsGoToHouseholder()
    {
        Tensor x = Input((300, 310), DType.F32, out _);
        Tensor q = Output((300, 310));
        Assert.That(Orthonormalization.Rows(x, q), Is.EqualTo(OrthonormalizationMethod.Householder));
        Assert.That(Deviation(Doubles(q), 300, 310), Is.LessThanOrEqualTo(1e-5));
    }

    [Test]
    public void NaNIsAnErrorAndNeverAResult()
    {
        Tensor x = Input((3, 9), DType.F32, out _);
        Tensor q = Output((3, 9));
        float[] host = x.ToArray();
        host[4] = float.NaN;
        x.CopyFrom(host);
        Assert.That(() => Orthonormalization.Rows(x, q), Throws.InstanceOf<ArithmeticException>());
    }

    [Test]
    public void ShapesAreNamed()
    {
        Tensor tall = Input((9, 3), DType.F32, out _);
        Tensor other = Output((3, 9));
        Tensor q = Output((9, 3));
        Assert.That(
            () => Orthonormalization.Rows(tall, q),
            Throws.ArgumentException.With.Message.Contains("no more rows than columns")
        );
        Assert.That(
            () => Orthonormalization.Rows(other, q),
            Throws.ArgumentException.With.Message.Contains("expected [3, 9]")
        );
    }

    // Largest part of a row of x (relative to the largest row) that lies outside the rows of q.
    private static double Outside(double[] x, double[] q, int l, int n)
    {
        double worst = 0;
        double largest = 0;
        for (int i = 0; i < l; i++)
        {
            double[] row = x[(i * n)..((i + 1) * n)];
            largest = Math.Max(largest, Math.Sqrt(row.Sum(e => e * e)));
            for (int j = 0; j < l; j++)
            {
                double dot = 0;
                for (int e = 0; e < n; e++)
                    dot += row[e] * q[j * n + e];
                for (int e = 0; e < n; e++)
                    row[e] -= dot * q[j * n + e];
            }
            worst = Math.Max(worst, Math.Sqrt(row.Sum(e => e * e)));
        }
        return largest == 0 ? 0 : worst / largest;
    }
}
