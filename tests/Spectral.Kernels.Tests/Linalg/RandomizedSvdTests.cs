using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RandomizedSvdTests(DeviceKind kind) : SvdTest(kind)
{
    private static readonly (string Name, int Rows, int Columns, int Rank, Func<int, double> Sigma)[] Spectra =
    [
        ("linear", 600, 400, 16, i => 2 - 1.95 * i / 399),
        ("harmonic", 600, 400, 16, i => 1.0 / (i + 1)),
        ("inverse root", 600, 400, 16, i => 1 / Math.Sqrt(i + 1)),
        ("inverse root, wide", 400, 600, 16, i => 1 / Math.Sqrt(i + 1)),
        ("ten spikes over a bulk", 600, 400, 16, i => i < 10 ? 20 - 14.0 * i / 9 : 2 - 2.0 * (i - 10) / 390),
        ("geometric", 300, 700, 24, i => Math.Pow(0.8, i)),
        ("spikes of 3 over a flat tail", 1024, 1024, 16, i => i < 16 ? 3 : 1),
        ("quarter circle", 512, 768, 32, i => 2 * Math.Cos(Math.PI / 2 * Math.Pow(i / 512.0, 2.0 / 3))),
    ];

    [Test]
    public void MeetsItsPromises([ValueSource(nameof(SpectrumNames))] string spectrum, [Values] bool oneBlock)
    {
        (string name, int rows, int columns, int rank, Func<int, double> sigma) = Spectra.Single(s =>
            s.Name == spectrum
        );
        var known = new KnownMatrix(Rng, rows, columns, sigma);
        Tensor a = Input(known.Values, (rows, columns), DType.F32, out double[] values);
        using SvdResult result = RandomizedSvd.Compute(a, rank, Options(oneBlock) with { Seed = 7 });
        VerifyFactors(result, values, known.Tail(rank), name);
        VerifyValues(result, known.Sigma, 0.01, name);
        Assert.That(
            result.ResidualBound,
            Is.GreaterThanOrEqualTo(known.Sigma[rank] * 0.999),
            "no approximation of this rank is better"
        );
        Assert.That(result.NumericalRank, Is.EqualTo(rank));
    }

    [TestCase(90, 70, 8)]
    [TestCase(70, 90, 8)]
    [TestCase(333, 129, 60)]
    public void BFloat16GivesWhatItsValuesInF32Give(int rows, int columns, int rank)
    {
        foreach (bool oneBlock in new[] { false, true })
        {
            Tensor a = Input((rows, columns), DType.BF16, out double[] values);
            Tensor wide = Input(Array.ConvertAll(values, x => (float)x), (rows, columns), DType.F32, out _);
            using SvdResult narrow = RandomizedSvd.Compute(a, rank, Options(oneBlock));
            using SvdResult same = RandomizedSvd.Compute(wide, rank, Options(oneBlock));
            double[] s = Doubles(same.S);
            for (int i = 0; i < rank; i++)
            {
                Assert.That(
                    Doubles(narrow.S)[i],
                    Is.EqualTo(s[i]).Within(2e-5 * s[0]),
                    "read directly, products are those of F32"
                );
            }

            VerifyFactors(narrow, values, null, "bf16");
        }
    }

    [Test]
    public void ABatchGivesEachMatrixItsOwnBits(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(2, 4)] int iterations,
        [Values] bool oneBlock
    )
    {
        // Two shapes; one matrix that settles at once, flat ones that need more iterations, one of rank 3 and one of
        // zeros that need the safer methods.
        (int Rows, int Columns, Func<int, double> Sigma)[] kinds =
        [
            (150, 100, i => 1.0 / (i + 1)),
            (150, 100, i => 2 - i / 100.0),
            (100, 150, i => Math.Pow(0.7, i)),
            (150, 100, i => i < 3 ? 1 : 0),
            (150, 100, i => 0),
            (150, 100, i => 1 - i / 200.0),
            (150, 100, i => 1e-20 / (i + 1)),
        ];
        FrozenWeight[] matrices =
        [
            .. kinds.Select(kind =>
                Input(
                    new KnownMatrix(Rng, kind.Rows, kind.Columns, kind.Sigma).Values,
                    (kind.Rows, kind.Columns),
                    type,
                    out _
                )
            ),
        ];
        RandomizedSvdOptions options = Options(oneBlock) with { PowerIterations = iterations, Seed = 5 };
        ulong[] streams = [3, 1, 4, 1, 5, 9, 2];
        SvdResult[] together = RandomizedSvd.Compute(matrices, 6, options, streams);
        for (int i = 0; i < matrices.Length; i++)
        {
            using SvdResult alone = RandomizedSvd.Compute(matrices[i], 6, options with { Stream = streams[i] });
            Assert.That(together[i].S.ToArray(), Is.EqualTo(alone.S.ToArray()), $"matrix {i}");
            Assert.That(together[i].U.ToArray(), Is.EqualTo(alone.U.ToArray()), $"matrix {i}");
            Assert.That(together[i].Vt.ToArray(), Is.EqualTo(alone.Vt.ToArray()), $"matrix {i}");
            Assert.That(
                (together[i].ResidualBound, together[i].NumericalRank),
                Is.EqualTo((alone.ResidualBound, alone.NumericalRank)),
                $"matrix {i}"
            );
            together[i].Dispose();
        }
    }

    [Test]
    public void BadMatricesOfABatchAreNamed()
    {
        Tensor good = Input((20, 30), DType.F32, out _);
        Tensor bad = Input(Enumerable.Repeat(float.NaN, 600).ToArray(), (20, 30), DType.F32, out _);
        Tensor small = Input((3, 30), DType.F32, out _);
        Assert.That(
            () => RandomizedSvd.Compute([good, bad], 2),
            Throws.ArgumentException.With.Message.Contains("matrices[1] [20, 30] holds NaN or infinite values")
        );
        Assert.That(
            () => RandomizedSvd.Compute([good, good, small], 4),
            Throws.ArgumentException.With.Message.Contains("rank is 4, expected 1 to 3")
        );
        Assert.That(
            () => RandomizedSvd.Compute([good], 2, null, [1, 2]),
            Throws.ArgumentException.With.Message.Contains("2 streams, expected 1")
        );
        Assert.That(RandomizedSvd.Compute([], 2), Is.Empty);
    }

    [Test]
    public void SameSeedSameBitsOtherSeedOtherBits()
    {
        Tensor a = Input((200, 150), DType.F32, out _);
        var options = new RandomizedSvdOptions
        {
            PowerIterations = 1,
            Seed = 3,
            Stream = 5,
        };
        using SvdResult one = RandomizedSvd.Compute(a, 10, options);
        using SvdResult two = RandomizedSvd.Compute(a, 10, options);
        using SvdResult seed = RandomizedSvd.Compute(a, 10, options with { Seed = 4 });
        using SvdResult stream = RandomizedSvd.Compute(a, 10, options with { Stream = 6 });
        foreach (Func<SvdResult, Tensor> part in new Func<SvdResult, Tensor>[] { r => r.U, r => r.S, r => r.Vt })
            Assert.That(part(two).ToArray(), Is.EqualTo(part(one).ToArray()));
        Assert.That(two.ResidualBound, Is.EqualTo(one.ResidualBound));
        Assert.That(seed.S.ToArray(), Is.Not.EqualTo(one.S.ToArray()));
        Assert.That(stream.S.ToArray(), Is.Not.EqualTo(one.S.ToArray()));
    }

    [Test]
    public void APreviewDoesExactlyTheIterationsAskedFor()
    {
        var known = new KnownMatrix(Rng, 512, 512, i => 2 * Math.Cos(Math.PI / 2 * Math.Pow(i / 512.0, 2.0 / 3)));
        Tensor a = Input(known.Values, (512, 512), DType.F32, out _);
        double Error(int iterations)
        {
            using SvdResult result = RandomizedSvd.Compute(
                a,
                16,
                new RandomizedSvdOptions { PowerIterations = iterations }
            );
            return Doubles(result.S).Zip(known.Sigma, (x, y) => y - x).Max() / known.Sigma[0];
        }
        double[] errors = [Error(0), Error(1), Error(3), Error(4)];
        TestContext.Out.WriteLine(string.Join(" ", errors));
        Assert.That(errors, Is.Ordered.Descending);
        Assert.That(errors[2], Is.GreaterThan(0.02), "three iterations do not suffice for this flat spectrum");
        Assert.That(errors[3], Is.LessThan(0.01), "so the default goes on");
        using SvdResult exactly = RandomizedSvd.Compute(a, 16, new RandomizedSvdOptions { UntilSettled = false });
        Assert.That(
            Doubles(exactly.S).Zip(known.Sigma, (x, y) => y - x).Max() / known.Sigma[0],
            Is.InRange(0.01, errors[2]),
            "unless told not to"
        );
    }

    [TestCase(-1, 2)]
    [TestCase(2, -1)]
    public void OptionsOutOfRangeAreNamed(int oversample, int iterations)
    {
        Tensor a = Input((8, 8), DType.F32, out _);
        Assert.That(
            () =>
                RandomizedSvd.Compute(
                    a,
                    2,
                    new RandomizedSvdOptions { Oversample = oversample, PowerIterations = iterations }
                ),
            Throws.ArgumentException.With.Message.Contains("-1")
        );
    }

    private static string[] SpectrumNames() => Spectra.Select(s => s.Name).ToArray();

    private static RandomizedSvdOptions Options(bool oneBlock) =>
        new() { Where = oneBlock ? SmallProblems.OneBlock : SmallProblems.Library };
}
