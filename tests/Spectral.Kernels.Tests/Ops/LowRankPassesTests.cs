using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LowRankPassesTests(DeviceKind kind) : DeviceTest(kind)
{
    /// <summary>
    /// Rows, wide columns, rank: single elements, tails of tiles, several row blocks, several shares, several groups of
    /// ranks.
    /// </summary>
    private static readonly (int M, int K, int R)[] Shapes =
    [
        (1, 1, 1),
        (1, 257, 8),
        (7, 33, 7),
        (33, 127, 16),
        (64, 64, 32),
        (130, 264, 33),
        (127, 130, 64),
        (257, 1000, 16),
        (65, 128, 65),
        (260, 136, 128),
        (40, 72, 256),
        (1030, 65, 9),
    ];

    private static IEnumerable<object[]> Cases() =>
        from shape in Shapes
        from run in Runs
        select new[] { shape, run[0], run[1] };

    /// <summary>The kernels are BF16 only.</summary>
    private static readonly object[][] Runs =
    [
        [DType.F32, LowRankPassKind.Blas],
        [DType.BF16, LowRankPassKind.Blas],
        [DType.BF16, LowRankPassKind.Kernels],
    ];

    [TearDown]
    public void ByRuleAgain() => LowRank.ForcePasses(Device, null);

    [TestCaseSource(nameof(Cases))]
    public void Project((int M, int K, int R) shape, DType type, LowRankPassKind passes)
    {
        (int m, int k, int r) = shape;
        LowRank.ForcePasses(Device, passes);
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((r, k), type, out double[] rights);
        Tensor middle = Input(r, DType.F32, out double[] c);
        Tensor z = Output((m, r), type);
        Tensor scaled = Output((m, r), type);
        Tensor bare = Output((m, r), type);
        Tensor onlyScaled = Output((m, r), type);
        LowRank.Project(x, right, z, middle, 0.75f, scaled);
        LowRank.Project(x, right, bare);
        LowRank.Project(x, right, bare, null, -2, onlyScaled);

        Reference expected = Reference.Of(xs, m, k) * Reference.Of(rights, r, k).Transposed();
        Verify(z, expected.Value, expected.Magnitude, k, "z");
        Verify(bare, expected.Value, expected.Magnitude, k, "z alone");
        VerifyScaled(scaled, expected, c, 0.75, type, k);
        VerifyScaled(onlyScaled, expected, null, -2, type, k);
    }

    /// <summary>
    /// Every operand as columns of a wider matrix of NaN, results alone or together, in strides of their own.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void OperandsInsideWiderMatrices((int M, int K, int R) shape, DType type, LowRankPassKind passes)
    {
        (int m, int k, int r) = shape;
        LowRank.ForcePasses(Device, passes);
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((r, k), type, out double[] rights);
        Tensor dRight = Output((r, k));
        Tensor left = Input((k, r), type, out double[] lefts);
        Tensor middle = Input(r, DType.F32, out double[] c);
        Tensor dLeft = Output((k, r));
        Tensor dMiddle = Output(r);
        ColumnRange Within(Tensor matrix, int before, int after)
        {
            Tensor wide = Output((matrix.Dim(0), before + matrix.Dim(1) + after), type);
            CopyBlock.Run(matrix, wide, 0, before);
            return new ColumnRange(wide, before, matrix.Dim(1));
        }
        (ColumnRange wideX, ColumnRange wideRight) = (Within(x, 8, 16), Within(right, 0, 3));
        ColumnRange z = new(Output((m, r + 5), type), 2, r);
        ColumnRange scaled = new(Output((m, r + 24), type), 8, r);
        ColumnRange alone = new(Output((m, r + 1), type), 1, r);
        ColumnRange noMiddle = new(Output((m, r + 2), type), 0, r);
        LowRank.Project(wideX, wideRight, z, middle, 0.75f, scaled);
        LowRank.Project(wideX, wideRight, null, middle, 0.75f, alone);
        LowRank.Project(wideX, wideRight, null, null, -2, noMiddle);
        var xR = Reference.Of(xs, m, k);
        Reference zR = xR * Reference.Of(rights, r, k).Transposed();
        Verify(Of(z), zR.Value, zR.Magnitude, k, "z");
        VerifyScaled(Of(scaled), zR, c, 0.75, type, k);
        VerifyScaled(Of(alone), zR, c, 0.75, type, k);
        VerifyScaled(Of(noMiddle), zR, null, -2, type, k);

        ColumnRange g = new(Output((m, r + 3), type), 3, r);
        ColumnRange scaledG = new(Output((m, r + 9), type), 1, r);
        ColumnRange gAlone = new(Output((m, r + 7), type), 0, r);
        var factors = new LowRankFactors(left, middle, right, 0.5f);
        LowRank.OutputGradients(
            wideX,
            factors,
            z,
            g,
            scaledG,
            new LowRankGradients(dLeft, 0, dMiddle),
            scaledZ: scaled
        );
        Reference gR = xR * Reference.Of(lefts, k, r);
        var storedZ = Reference.Of(Array.ConvertAll(Of(z).ToArray(), value => (double)value), m, r);
        Verify(Of(g), gR.Value, gR.Magnitude, k, "g");
        VerifyScaled(Of(scaledG), gR, c, 0.5, type, k);
        Reference dL =
            xR.Transposed() * Reference.Of(Array.ConvertAll(Of(scaled).ToArray(), value => (double)value), m, r);
        Verify(dLeft, dL.Value, dL.Magnitude, m, "dL");
        VerifyMiddle(dMiddle, gR, storedZ, null, type, 0.5, k);
        LowRank.OutputGradients(wideX, factors, null, null, gAlone, default);
        VerifyScaled(Of(gAlone), gR, c, 0.5, type, k);

        LowRank.InputGradient(scaledG, wideX, [(dRight, 0)], 0.5f);
        Reference dR = (
            Reference.Of(Array.ConvertAll(Of(scaledG).ToArray(), value => (double)value), m, r).Transposed() * xR
        ).Scaled(null, 0.5);
        Verify(dRight, dR.Value, dR.Magnitude, m, "dR");

        // The columns as a tensor of their own; what surrounds them is still NaN.
        Tensor Of(ColumnRange range)
        {
            float[] all = range.Matrix.ToArray();
            bool Inside(int i) => i % range.Stride >= range.From && i % range.Stride < range.From + range.Count;
            Assert.That(all.Where((_, i) => !Inside(i)), Is.All.NaN, "columns beside the result");
            return Input([.. all.Where((_, i) => Inside(i))], (range.Rows, range.Count), type, out _);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void OutputGradients((int M, int K, int R) shape, DType type, LowRankPassKind passes)
    {
        (int m, int n, int r) = shape;
        LowRank.ForcePasses(Device, passes);
        Tensor dy = Input((m, n), type, out double[] dys);
        Tensor left = Input((n, r), type, out double[] lefts);
        Tensor z = Input((m, r), type, out double[] zs);
        Tensor middle = Input(r, DType.F32, out double[] c);
        Tensor right = Input((r, 1), type, out _);
        var factors = new LowRankFactors(left, middle, right, 0.75f);
        int from = r / 3;
        int count = r - r / 2;
        Tensor g = Output((m, r), type);
        Tensor scaled = Output((m, r), type);
        Tensor dLeft = Output((n, r - from));
        Tensor dMiddle = Output(count);
        LowRank.OutputGradients(dy, factors, z, g, scaled, new LowRankGradients(dLeft, from, dMiddle));

        var dyR = Reference.Of(dys, m, n);
        var zR = Reference.Of(zs, m, r);
        Reference gR = dyR * Reference.Of(lefts, n, r);
        Verify(g, gR.Value, gR.Magnitude, n, "g");
        VerifyScaled(scaled, gR, c, 0.75, type, n);
        Reference expected = (dyR.Transposed() * zR).Scaled(c, 0.75).ColumnsFrom(from);
        Reference bound = expected.Roundings(type, m, expected.Magnitude); // z ∘ c is rounded between two library calls
        Verify(dLeft, expected.Value, bound.Magnitude, m, "dL");
        VerifyMiddle(dMiddle, gR, zR, null, type, 0.75, n);

        // Once more on top, and g alone.
        LowRank.OutputGradients(dy, factors, z, g, null, new LowRankGradients(dLeft, from, dMiddle), accumulate: true);
        Reference twice = expected + expected;
        Verify(dLeft, twice.Value, (bound + bound).Magnitude, m, "dL accumulated");
        Tensor gAlone = Output((m, r), type);
        LowRank.OutputGradients(dy, factors, z, gAlone, null, default);
        Assert.That(gAlone.ToArray(), Is.EqualTo(g.ToArray()), "g does not depend on what else is wanted");
    }

    [TestCaseSource(nameof(Cases))]
    public void InputGradient((int M, int K, int R) shape, DType type, LowRankPassKind passes)
    {
        (int m, int k, int r) = shape;
        LowRank.ForcePasses(Device, passes);
        foreach (int from in new[] { 0, r / 2, r })
        {
            Tensor h = Input((m, r), type, out double[] hs);
            Tensor x = Input((m, k), type, out double[] xs);
            Tensor dRight = Output((r - from, k));
            LowRank.InputGradient(h, x, [(dRight, from)], 0.5f);
            Reference expected = (Reference.Of(hs, m, r).Transposed() * Reference.Of(xs, m, k))
                .Scaled(null, 0.5)
                .RowsFrom(from);
            Verify(dRight, expected.Value, expected.Magnitude, m, $"dR from {from}");
            LowRank.InputGradient(h, x, [(dRight, from)], 0.5f, accumulate: true);
            Verify(
                dRight,
                (expected + expected).Value,
                (expected + expected).Magnitude,
                m,
                $"dR from {from} accumulated"
            );
        }
    }

    /// <summary>
    /// Three layers that read one x: R below one another, z and g side by side, each dR where it belongs.
    /// </summary>
    [Test]
    public void SiblingsShareOneRead(
        [ValueSource(nameof(Runs))] object[] run,
        [Values(8, 7)] int rank,
        [Values] bool dropout
    )
    {
        const int m = 150;
        const int k = 88;
        const int n = 40;
        var type = (DType)run[0];
        LowRank.ForcePasses(Device, (LowRankPassKind)run[1]);
        using var state = new StepState(Device);
        DropoutMask? mask = dropout ? new DropoutMask(state, 3, 0.25) : null;
        state.SeedDropout(5, 2);
        int[] from = [0, rank, 3 * rank];
        int[] ranks = [rank, 2 * rank, rank];
        int all = ranks.Sum();
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((all, k), type, out double[] rights);
        Tensor middle = Input(all, DType.F32, out double[] c);
        Tensor z = Output((m, all), type);
        Tensor scaledZ = Output((m, all), type);
        Tensor g = Output((m, all), type);
        Tensor h = Output((m, all), type);
        LowRank.Project(x, right, z, middle, 0.5f, scaledZ, mask);
        double factor = mask?.Factor ?? 1;
        Reference kept = Reference
            .Of(
                xs.Select((value, i) => mask is null || DropoutTests.Keeps(5, 2, 3, 0.25, i) ? value : 0).ToArray(),
                m,
                k
            )
            .Scaled(null, factor);
        Reference expected = kept * Reference.Of(rights, all, k).Transposed();
        Verify(z, expected.Value, expected.Magnitude, k, "z");
        VerifyScaled(scaledZ, expected, c, 0.5, type, k);

        var targets = new (Tensor, int)[3];
        var gradients = new List<Reference>();
        double[] zs = Array.ConvertAll(z.ToArray(), value => (double)value);
        for (int j = 0; j < 3; j++)
        {
            Tensor dy = Input((m, n), type, out double[] dys);
            Tensor left = Input((n, ranks[j]), type, out double[] lefts);
            Tensor dLeft = Output((n, ranks[j]));
            var factors = new LowRankFactors(
                left,
                Keep(middle.Rows(from[j], ranks[j])),
                Keep(right.Rows(from[j], ranks[j])),
                0.5f
            );
            double[] cs = c[from[j]..(from[j] + ranks[j])];
            ColumnRange Mine(Tensor matrix) => new(matrix, from[j], ranks[j]);
            LowRank.OutputGradients(dy, factors, Mine(z), Mine(g), Mine(h), new LowRankGradients(dLeft));
            var dyR = Reference.Of(dys, m, n);
            Reference gR = dyR * Reference.Of(lefts, n, ranks[j]);
            double[] actual = Slice(
                Reference.Of(Array.ConvertAll(g.ToArray(), value => (double)value), m, all),
                from[j],
                ranks[j]
            ).Value;
            Comparator.Verify(actual, gR.Value, type, gR.Magnitude, n, "g");
            Reference dL = (dyR.Transposed() * Slice(Reference.Of(zs, m, all), from[j], ranks[j])).Scaled(cs, 0.5);
            Verify(dLeft, dL.Value, dL.Roundings(type, m, dL.Magnitude).Magnitude, m, "dL");
            targets[j] = (Output((ranks[j], k)), from[j]);
        }
        double[] hs = Array.ConvertAll(h.ToArray(), value => (double)value);
        foreach (bool accumulate in new[] { false, true })
        {
            LowRank.InputGradient(h, x, targets, 0.75f, accumulate, mask);
            Reference dR = (Reference.Of(hs, m, all).Transposed() * kept).Scaled(null, accumulate ? 1.5 : 0.75);
            foreach (((Tensor target, int first), int count) in targets.Zip(ranks))
            {
                Verify(
                    target,
                    dR.RowsFrom(first).Value[..(count * k)],
                    dR.RowsFrom(first).Magnitude[..(count * k)],
                    m,
                    $"dR from {first}"
                );
            }
        }

        static Reference Slice(Reference matrix, int first, int count) =>
            Reference
                .Of(matrix.Transposed().RowsFrom(first).Value[..(count * matrix.Rows)], count, matrix.Rows)
                .Transposed();
    }

    [Test]
    public void NoRowsGiveZeroGradients(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] LowRankPassKind passes,
        [Values] bool accumulate
    )
    {
        LowRank.ForcePasses(Device, passes);
        Tensor none = Keep(Tensor.Empty(Device, (0, 3), type));
        Tensor wide = Keep(Tensor.Empty(Device, (0, 5), type));
        Tensor left = Input((5, 3), type, out _);
        Tensor right = Input((3, 5), type, out _);
        Tensor dLeft = Input((5, 3), DType.F32, out double[] lefts);
        Tensor dMiddle = Input(3, DType.F32, out double[] middles);
        Tensor dRight = Input((3, 5), DType.F32, out double[] rights);
        LowRank.Project(wide, right, none);
        LowRank.OutputGradients(
            wide,
            new LowRankFactors(left, null, right),
            none,
            none,
            null,
            new LowRankGradients(dLeft, 0, dMiddle),
            accumulate
        );
        LowRank.InputGradient(none, wide, [(dRight, 0)], accumulate: accumulate);
        double[] Kept(double[] before) => accumulate ? before : new double[before.Length];
        Verify(dLeft, Kept(lefts));
        Verify(dMiddle, Kept(middles));
        Verify(dRight, Kept(rights));
    }

    [Test]
    public void TwoRunsAgreeBitForBit([ValueSource(nameof(FloatTypes))] DType type)
    {
        LowRank.ForcePasses(Device, LowRankPassKind.Kernels);
        Tensor dy = Input((513, 400), type, out _);
        Tensor left = Input((400, 16), type, out _);
        Tensor z = Input((513, 16), type, out _);
        Tensor right = Input((16, 8), type, out _);
        float[] Run()
        {
            Tensor g = Output((513, 16), type);
            Tensor dLeft = Output((400, 16));
            Tensor dMiddle = Output(16);
            LowRank.OutputGradients(
                dy,
                new LowRankFactors(left, null, right),
                z,
                g,
                null,
                new LowRankGradients(dLeft, 0, dMiddle)
            );
            return [.. g.ToArray(), .. dLeft.ToArray(), .. dMiddle.ToArray()];
        }
        Assert.That(Run(), Is.EqualTo(Run()));
    }

    [Test]
    public void TheRuleAndWhatForcesIt()
    {
        string Ran(DType type, int rank, LowRankPassKind? forced)
        {
            Device.Variants.Clear();
            LowRank.ForcePasses(Device, forced);
            LowRank.Project(Input((3, 8), type, out _), Input((rank, 8), type, out _), Output((3, rank), type));
            return Device.Variants.All.Single().ToString();
        }
        Assert.That(
            Ran(DType.BF16, 128, null),
            Is.EqualTo($"low_rank_project: {(Device.Kind == DeviceKind.Cpu ? "blas" : "kernels")}")
        );
        Assert.That(Ran(DType.BF16, 129, null), Is.EqualTo("low_rank_project: blas"));
        string refusal = " (kernels does not apply: the device has too little shared memory for them)";
        Assert.That(
            Ran(DType.BF16, 129, LowRankPassKind.Kernels),
            Is.EqualTo($"low_rank_project: {(Device.SharedBytesPerBlock > 100 << 10 ? "kernels" : "blas" + refusal)}")
        );
        Assert.That(
            Ran(DType.F32, 8, LowRankPassKind.Kernels),
            Is.EqualTo("low_rank_project: blas (kernels does not apply: they are BF16 only)")
        );
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        Tensor x = Input((4, 6), DType.F32, out _);
        Tensor right = Input((2, 6), DType.F32, out _);
        Tensor z = Output((4, 2));
        Tensor left = Input((5, 2), DType.F32, out _);
        Tensor half = Input((4, 6), DType.BF16, out _);
        Tensor dy = Input((4, 5), DType.F32, out _);
        Tensor g = Output((4, 2));
        Tensor dLeft = Output((5, 2));
        Tensor dRight = Output((2, 6));
        var factors = new LowRankFactors(left, null, right);
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
                    .And.Message.Contains("expected")
            );

        Names("x", () => LowRank.Project(Keep(x.View(24)), right, z));
        Names("right", () => LowRank.Project(x, left, z));
        Names("right", () => LowRank.Project(half, right, z));
        Names("z", () => LowRank.Project(x, right, dy));
        Names("scaled", () => LowRank.Project(x, right, z, null, 1, dy));
        Names("middle", () => LowRank.Project(x, right, z, left, 1, z));
        Names("z", () => LowRank.OutputGradients(dy, factors, dy, g, null, default));
        Names("g", () => LowRank.OutputGradients(dy, factors, z, dy, null, default));
        Names("Left", () => LowRank.OutputGradients(x, factors, z, g, null, default));
        Names("Left", () => LowRank.OutputGradients(dy, factors, z, g, null, new LowRankGradients(dLeft, 1)));
        Names("LeftFrom", () => LowRank.OutputGradients(dy, factors, z, g, null, new LowRankGradients(dLeft, 3)));
        Names(
            "Middle",
            () => LowRank.OutputGradients(dy, factors, z, g, null, new LowRankGradients(Middle: Output(3)))
        );
        Names("h", () => LowRank.InputGradient(left, x, [(dRight, 0)]));
        Names("targets", () => LowRank.InputGradient(z, x, [(dRight, 3)]));
        Names("targets", () => LowRank.InputGradient(z, x, [(dRight, 1)]));
        Names("z", () => LowRank.OutputGradients(dy, factors, new ColumnRange(dy, 4, 2), g, null, default));
        Names("scaled", () => LowRank.OutputGradients(dy, factors, z, g, new ColumnRange(dy, 4, 2), default));
        Names("scaledZ", () => LowRank.OutputGradients(dy, factors, z, g, null, default, scaledZ: dy));
        Names("g", () => LowRank.OutputGradients(dy, factors, z, null, null, default));
        Names("g", () => LowRank.OutputGradients(dy, factors, z, null, z, new LowRankGradients(Middle: Output(2))));
        Names("z", () => LowRank.OutputGradients(dy, factors, null, g, null, new LowRankGradients(dLeft)));
        Names(
            "z",
            () =>
                LowRank.OutputGradients(dy, factors, null, g, null, new LowRankGradients(Middle: Output(2)), scaledZ: z)
        );
        Names("z", () => LowRank.Project(x, right, null));
        using var state = new StepState(Device);
        var mask = new DropoutMask(state, 1, 0.5);
        Names("x", () => LowRank.Project(new ColumnRange(x, 0, 5), new ColumnRange(right, 0, 5), z, dropout: mask));
        Names("x", () => LowRank.InputGradient(z, new ColumnRange(x, 0, 5), [], dropout: mask));
    }

    private static void VerifyScaled(
        Tensor actual,
        Reference product,
        double[]? middle,
        double scale,
        DType type,
        int n
    )
    {
        Reference expected = product.Scaled(middle, scale);
        Reference bound = expected.Roundings(type, n, expected.Value); // the product may be rounded first
        Verify(actual, expected.Value, bound.Magnitude, n, "scaled");
    }

    private static void VerifyMiddle(
        Tensor actual,
        Reference g,
        Reference z,
        double[]? before,
        DType type,
        double scale,
        int depth
    )
    {
        int count = actual.Dim(0);
        int m = g.Rows;
        int r = g.Columns;
        int n = m + depth;
        (double[] value, double[] magnitude, double[] rounded) = (
            new double[count],
            new double[count],
            new double[count]
        );
        for (int i = 0; i < count; i++)
        {
            for (int t = 0; t < m; t++)
            {
                value[i] += scale * g.Value[t * r + i] * z.Value[t * r + i];
                magnitude[i] += Math.Abs(scale) * g.Magnitude[t * r + i] * z.Magnitude[t * r + i];
                rounded[i] += Math.Abs(scale * g.Value[t * r + i] * z.Value[t * r + i]); // g is stored in its type
            }
            value[i] += before?[i] ?? 0;
        }
        Verify(actual, value, new Reference(value, magnitude, 1, count).Roundings(type, n, rounded).Magnitude, n, "dc");
    }
}
