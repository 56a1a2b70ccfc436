using FsCheck;
using FsCheck.Fluent;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>Both methods on every kind of input: shapes, ranks, degenerate matrices, scales, bad arguments.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SvdTests(DeviceKind kind) : SvdTest(kind)
{
    private static readonly SvdMethod[] Methods = [SvdMethod.Exact, SvdMethod.Randomized];

    [Test]
    public void AnyShapeAndRank([ValueSource(nameof(Methods))] SvdMethod method)
    {
        Gen<(int Rows, int Columns, int Rank, int True)> shapes =
            from rows in Gen.Choose(1, 70)
            from columns in Gen.Choose(1, 70)
            from rank in Gen.Choose(1, Math.Min(rows, columns))
            from trueRank in Gen.Choose(0, Math.Min(rows, columns))
            select (rows, columns, rank, trueRank);
        Prop.ForAll(
                shapes.ToArbitrary(),
                shape =>
                {
                    (int m, int n, int k, int rank) = shape;
                    var known = new KnownMatrix(Rng, m, n, i => i < rank ? 1.0 / (1 + i) : 0);
                    using var a = Tensor.From(Device, known.Values, (m, n));
                    using SvdResult result = Svd.Compute(a, k, method);
                    VerifyFactors(result, Array.ConvertAll(known.Values, x => (double)x), known.Tail(k), $"{shape}");
                    // The sketch covers everything or a spectrum that falls fast enough: exact to rounding where the
                    // true rank fits into it.
                    VerifyValues(result, known.Sigma, rank <= k + 16 ? 1e-5 : 1e-3, $"{shape}");
                    Assert.That(result.NumericalRank, Is.EqualTo(Math.Min(k, rank)));
                }
            )
            .Check(Config.QuickThrowOnFailure.WithMaxTest(60));
    }

    [Test]
    public void TheWholeDecompositionOfASquareMatrix(
        [ValueSource(nameof(Methods))] SvdMethod method,
        [Values(1, 2, 33, 150)] int n
    )
    {
        var known = new KnownMatrix(Rng, n, n, i => 1 + i);
        Tensor a = Input(known.Values, (n, n), DType.F32, out double[] values);
        using SvdResult result = Svd.Compute(a, n, method);
        VerifyFactors(result, values, 0, "square");
        VerifyValues(result, known.Sigma, 1e-5, "square");
    }

    [Test]
    public void ManyMatricesGiveWhatEachGivesAlone([Values] SvdMethod method)
    {
        (int Rows, int Columns)[] shapes = [(40, 30), (600, 520), (40, 30), (30, 40), (600, 520)];
        FrozenWeight[] matrices = [.. shapes.Select(shape => Input(shape, DType.F32, out _))];
        ulong[] streams = [3, 1, 4, 1, 5];
        var options = new RandomizedSvdOptions { Seed = 11, PowerIterations = 2 };
        SvdResult[] together = Svd.Compute(matrices, 6, method, options, streams);
        for (int i = 0; i < matrices.Length; i++)
        {
            using SvdResult alone = Svd.Compute(matrices[i], 6, method, options with { Stream = streams[i] });
            using SvdResult one = together[i];
            Assert.That(one.Method, Is.EqualTo(alone.Method));
            Assert.That(one.U.ToArray(), Is.EqualTo(alone.U.ToArray()), $"matrix {i}");
            Assert.That(one.S.ToArray(), Is.EqualTo(alone.S.ToArray()), $"matrix {i}");
            Assert.That(one.Vt.ToArray(), Is.EqualTo(alone.Vt.ToArray()), $"matrix {i}");
        }
        Assert.That(
            () => Svd.Compute(matrices, 6, method, options, [1]),
            Throws.ArgumentException.With.Message.Contains("expected 5")
        );
        Assert.That(() => Svd.Compute(matrices, 31, method, options), Throws.ArgumentException);
    }

    [Test]
    public void ZerosHaveRankZeroAndOrthonormalVectors(
        [ValueSource(nameof(Methods))] SvdMethod method,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor a = Input(new float[12 * 9], (12, 9), type, out double[] values);
        using SvdResult result = Svd.Compute(a, 5, method);
        VerifyFactors(result, values, 0, "zeros");
        Assert.That((result.NumericalRank, result.ResidualBound), Is.EqualTo((0, 0.0)));
        Assert.That(result.S.ToArray(), Is.All.EqualTo(0f));
    }

    [Test]
    public void ALowRankProductHasExactlyZeroTrailingValues(
        [ValueSource(nameof(Methods))] SvdMethod method,
        [Values] bool wide
    )
    {
        (int m, int n, int rank) = wide ? (120, 300, 6) : (300, 120, 6);
        Tensor l = Input((m, rank), DType.F32, out _);
        Tensor r = Input((rank, n), DType.F32, out _);
        Tensor a = Output((m, n));
        Gemm.Run(l, r, a);
        using SvdResult result = Svd.Compute(a, 20, method);
        VerifyFactors(result, Doubles(a), 0, "low rank");
        Assert.That(result.NumericalRank, Is.EqualTo(rank));
    }

    [Test]
    public void IdenticalAndZeroColumns([ValueSource(nameof(Methods))] SvdMethod method)
    {
        float[] host = new float[50 * 40];
        for (int i = 0; i < 50; i++)
        {
            float x = (float)Rng.NextNormal();
            for (int j = 0; j < 40; j++)
                host[i * 40 + j] = j % 3 == 0 ? 0 : x;
        }
        Tensor a = Input(host, (50, 40), DType.F32, out double[] values);
        using SvdResult result = Svd.Compute(a, 4, method);
        VerifyFactors(result, values, 0, "identical columns");
        Assert.That(result.NumericalRank, Is.EqualTo(1));
        Assert.That(result.S.ToArray()[0], Is.EqualTo(Math.Sqrt(values.Sum(x => x * x))).Within(1e-4).Percent);
    }

    [TestCase(1, 77)]
    [TestCase(77, 1)]
    [TestCase(1, 1)]
    public void OneRowOrColumnIsItsOwnVector(int m, int n)
    {
        foreach (SvdMethod method in Methods)
        {
            Tensor a = Input((m, n), DType.F32, out double[] values);
            using SvdResult result = Svd.Compute(a, 1, method);
            VerifyFactors(result, values, 0, $"{method} {m} × {n}");
            Assert.That(result.S.ToArray()[0], Is.EqualTo(Math.Sqrt(values.Sum(x => x * x))).Within(1e-4).Percent);
        }
    }

    [TestCase(1e-30f)]
    [TestCase(1e-42f)]
    [TestCase(1e+30f)]
    [TestCase(1e+36f)]
    public void AnyScaleGivesTheSameVectors(float scale)
    {
        foreach (SvdMethod method in Methods)
        {
            var known = new KnownMatrix(Rng, 60, 50, i => 1.0 / (1 + i));
            float[] host = Array.ConvertAll(known.Values, x => x * scale);
            Tensor a = Input(host, (60, 50), DType.F32, out _);
            using SvdResult result = Svd.Compute(a, 5, method);
            double[] s = Doubles(result.S);
            // 1e-42 is subnormal: the values themselves then have three digits at most.
            double accuracy = scale < 1e-38 ? 0.02 : 1e-4;
            for (int i = 0; i < 5; i++)
                Assert.That(s[i], Is.EqualTo(known.Sigma[i] * scale).Within(accuracy * scale), $"{method} value {i}");
            Assert.That(Deviation(Doubles(result.Vt), 5, 50), Is.LessThanOrEqualTo(1e-5));
        }
    }

    [Test]
    public void NonFiniteValuesAreAnError(
        [ValueSource(nameof(Methods))] SvdMethod method,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float bad
    )
    {
        foreach (int at in new[] { 0, 1234, 37 * 53 - 1 })
        {
            float[] host = new float[37 * 53];
            host[at] = bad;
            Tensor a = Input(host, (37, 53), type, out _);
            Assert.That(
                () => Svd.Compute(a, 3, method),
                Throws.ArgumentException.With.Message.Contains("a [37, 53] holds NaN or infinite values")
            );
        }
    }

    [TestCase(0)]
    [TestCase(-3)]
    [TestCase(10)]
    public void ARankOutOfRangeIsAnError(int rank)
    {
        Tensor a = Input((9, 12), DType.F32, out _);
        foreach (SvdMethod method in Methods)
        {
            Assert.That(
                () => Svd.Compute(a, rank, method),
                Throws.ArgumentException.With.Message.Contains($"rank is {rank}, expected 1 to 9")
            );
        }
    }

    [Test]
    public void OtherShapesAndTypesAreNamed()
    {
        Tensor cube = Input((3, 4, 5), DType.F32, out _);
        Tensor integers = Input(new int[6], (2, 3));
        Assert.That(() => Svd.Compute(cube, 1), Throws.ArgumentException.With.Message.Contains("[3, 4, 5]"));
        Assert.That(() => Svd.Compute(integers, 1), Throws.ArgumentException.With.Message.Contains("I32"));
    }

    [Test]
    public void AutoIsExactUpToItsLimit()
    {
        Tensor small = Input((Svd.LargestExact, 4), DType.F32, out _);
        using SvdResult exact = Svd.Compute(small, 1);
        Assert.That(exact.Method, Is.EqualTo(SvdMethod.Exact));
        Tensor large = Input((Svd.LargestExact + 1, Svd.LargestExact + 2), DType.F32, out _);
        using SvdResult randomized = Svd.Compute(large, 1, options: new RandomizedSvdOptions { PowerIterations = 0 });
        Assert.That(randomized.Method, Is.EqualTo(SvdMethod.Randomized));
    }

    [Test]
    public void ClustersAreReported()
    {
        var known = new KnownMatrix(Rng, 40, 40, i => i < 2 ? 5 : 1.0 / i);
        Tensor a = Input(known.Values, (40, 40), DType.F32, out _);
        using SvdResult together = Svd.Compute(a, 3);
        using SvdResult apart = Svd.Compute(a, 1);
        Assert.That((together.HasClusters, apart.HasClusters), Is.EqualTo((true, false)));
    }
}
