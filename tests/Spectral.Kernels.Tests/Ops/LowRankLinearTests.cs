using Spectral.Kernels.Ops;
using Spectral.Kernels.Ops.Dispatch;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LowRankLinearTests(DeviceKind kind) : DeviceTest(kind)
{
    /// <summary>
    /// M, N, K, r: single elements, odd widths (no 16-byte rows), aligned widths, several 128 × 128 tiles, ranks over
    /// one slice of 64.
    /// </summary>
    private static readonly (int M, int N, int K, int R)[] Shapes =
    [
        (1, 1, 1, 1),
        (7, 33, 1, 7),
        (33, 7, 130, 8),
        (1, 257, 127, 16),
        (127, 128, 64, 16),
        (130, 136, 264, 33),
        (257, 130, 33, 64),
        (64, 257, 200, 72),
        (1030, 16, 24, 8),
    ];

    /// <summary>
    /// For hopper, which needs multiples of 8: one tile with everything a tail, several tiles, more slices of 64 than
    /// the kernel has stages, an odd number of tile rows, ranks over one slice.
    /// </summary>
    private static readonly (int M, int N, int K, int R)[] HopperShapes =
    [
        (1, 8, 8, 8),
        (127, 264, 328, 16),
        (130, 72, 320, 40),
        (257, 520, 64, 64),
        (300, 136, 264, 72),
        (520, 16, 24, 8),
    ];

    private static IEnumerable<object[]> Cases() =>
        from run in Runs
        from shape in (LowRankVariant)run[1] == LowRankVariant.Hopper ? HopperShapes : Shapes
        from decorated in new[] { true, false }
        select new[] { shape, run[0], run[1], decorated };

    private static readonly object[][] Runs =
    [
        [DType.F32, LowRankVariant.ComposedA],
        [DType.F32, LowRankVariant.ComposedB],
        [DType.BF16, LowRankVariant.ComposedA],
        [DType.BF16, LowRankVariant.ComposedB],
        [DType.BF16, LowRankVariant.Portable],
        [DType.BF16, LowRankVariant.Hopper],
    ];

    [TearDown]
    public void ByRuleAgain()
    {
        LowRankLinear.Force(Device, null);
        LowRank.ForcePasses(Device, null);
    }

    [TestCaseSource(nameof(Cases))]
    public void Forward((int M, int N, int K, int R) shape, DType type, LowRankVariant variant, bool decorated)
    {
        (int m, int n, int k, int r) = shape;
        LowRankLinear.Force(Device, variant);
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor weight = Input((n, k), type, out double[] weights);
        Tensor bias = Input(n, type, out double[] biases);
        LowRankFactors factors = Factors(
            n,
            k,
            r,
            type,
            decorated,
            out double[] lefts,
            out double[]? c,
            out double[] rights
        );
        Tensor y = Output((m, n), type);
        Tensor z = Output((m, r), type);
        LowRankLinear.Forward(x, weight, decorated ? bias : null, factors, y, z);

        Reference plain = Reference.Of(xs, m, k) * Reference.Of(weights, n, k).Transposed();
        Reference left = Reference.Of(lefts, n, r).Transposed();
        Reference product = Reference.Of(xs, m, k) * Reference.Of(rights, r, k).Transposed();
        Verify(z, product.Value, product.Magnitude, k, "z");
        Reference low = product.Scaled(c, factors.Scale) * left;
        Reference expected = plain + low;
        double[] skinny = Terms(product, c, factors.Scale, left); // z and z ∘ c are each stored in the type
        double[] beforeBias = expected.Value;
        if (decorated)
            expected += Reference.Of(Enumerable.Range(0, m * n).Select(i => biases[i % n]).ToArray(), m, n);
        double[][] rounded = OneRounding(variant)
            ? [skinny, skinny]
            : [skinny, skinny, plain.Value, low.Value, beforeBias];
        Verify(y, expected.Value, expected.Roundings(type, k + r, rounded).Magnitude, k + r, "y");
    }

    [TestCaseSource(nameof(Cases))]
    public void Backward((int M, int N, int K, int R) shape, DType type, LowRankVariant variant, bool decorated)
    {
        (int m, int n, int k, int r) = shape;
        LowRankLinear.Force(Device, variant);
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor weight = Input((n, k), type, out double[] weights);
        Tensor dy = Input((m, n), type, out double[] dys);
        LowRankFactors factors = Factors(
            n,
            k,
            r,
            type,
            decorated,
            out double[] lefts,
            out double[]? c,
            out double[] rights
        );
        Tensor z = Input((m, r), type, out double[] zs);
        int leftFrom = decorated ? r / 2 : 0;
        int rightFrom = decorated ? r / 3 : 0;
        int count = decorated ? r - r / 2 : r;
        Tensor dx = Output((m, k), type);
        Tensor dLeft = Output((n, r - leftFrom));
        Tensor dMiddle = Output(count);
        Tensor dRight = Output((r - rightFrom, k));
        var gradients = new LowRankGradients(dLeft, leftFrom, dMiddle, dRight, rightFrom);
        LowRankLinear.Backward(x, weight, factors, z, dy, dx, gradients);

        var dyR = Reference.Of(dys, m, n);
        Reference g = dyR * Reference.Of(lefts, n, r);
        var right = Reference.Of(rights, r, k);
        Reference scaledG = g.Scaled(c, factors.Scale);
        Reference plain = dyR * Reference.Of(weights, n, k);
        Reference low = scaledG * right;
        Reference expected = plain + low;
        double[] skinny = Terms(g, c, factors.Scale, right);
        double[][] rounded = OneRounding(variant) ? [skinny, skinny] : [skinny, skinny, plain.Value, low.Value];
        Reference bound = expected.Roundings(type, n + r, rounded);
        Verify(dx, expected.Value, bound.Magnitude, n + r, "dx");

        Reference dL = (dyR.Transposed() * Reference.Of(zs, m, r)).Scaled(c, factors.Scale).ColumnsFrom(leftFrom);
        Reference dLBound = dL.Roundings(type, m, dL.Magnitude);
        Verify(dLeft, dL.Value, dLBound.Magnitude, m, "dL");
        double[] terms = Terms(scaledG.Transposed(), null, 1, Reference.Of(xs, m, k));
        Reference dR = scaledG.Transposed() * Reference.Of(xs, m, k);
        Reference dRBound = dR.Roundings(type, m + n, terms, terms);
        Verify(dRight, dR.RowsFrom(rightFrom).Value, dRBound.RowsFrom(rightFrom).Magnitude, m + n, "dR");
        double[] dc = new double[count];
        double[] dcMagnitude = new double[count];
        double[] dcTerms = new double[count];
        for (int t = 0; t < m; t++)
        {
            for (int i = 0; i < count; i++)
            {
                dc[i] += factors.Scale * g.Value[t * r + i] * zs[t * r + i];
                dcMagnitude[i] += Math.Abs(factors.Scale * zs[t * r + i]) * g.Magnitude[t * r + i];
                dcTerms[i] += Math.Abs(factors.Scale * zs[t * r + i] * g.Value[t * r + i]);
            }
        }

        Verify(
            dMiddle,
            dc,
            new Reference(dc, dcMagnitude, 1, count).Roundings(type, m + n, dcTerms).Magnitude,
            m + n,
            "dc"
        );

        // Once more on top of everything: each of the two results is rounded, and for dx so is the first product that
        // was added.
        double[] first = Array.ConvertAll(dx.ToArray(), value => (double)value);
        LowRankLinear.Backward(x, weight, factors, z, dy, dx, gradients, Accumulate.Gradients | Accumulate.Dx);
        Reference total = expected + Reference.Of(first, m, k);
        double[] between = first
            .Zip(plain.Value, (a, b) => Math.Abs(a) + Math.Abs(b))
            .Zip(low.Value, (a, b) => a + Math.Abs(b))
            .ToArray();
        Verify(
            dx,
            total.Value,
            (bound + Reference.Of(first, m, k)).Roundings(type, n + r, OneRounding(variant) ? [] : [between]).Magnitude,
            n + r,
            "dx accumulated"
        );
        Verify(dLeft, (dL + dL).Value, (dLBound + dLBound).Magnitude, m, "dL accumulated");
        Verify(
            dRight,
            (dR + dR).RowsFrom(rightFrom).Value,
            (dRBound + dRBound).RowsFrom(rightFrom).Magnitude,
            m + n,
            "dR accumulated"
        );
    }

    [TestCaseSource(nameof(Runs))]
    public void AnUpdateOfZeroLeavesTheBaseOutput(DType type, LowRankVariant variant)
    {
        LowRankLinear.Force(Device, variant);
        (int n, int k) = variant == LowRankVariant.Hopper ? (72, 136) : (65, 130);
        Tensor x = Input((33, k), type, out _);
        Tensor weight = Input((n, k), type, out _);
        Tensor zero = Input(new float[16], 16, DType.F32, out _);
        Tensor plain = Output((33, n), type);
        Tensor left = Input((n, 16), type, out _);
        Tensor right = Input((16, k), type, out _);
        float[] Run(LowRankFactors factors)
        {
            Tensor y = Output((33, n), type);
            Tensor z = Output((33, factors.Rank), type);
            LowRankLinear.Forward(x, weight, null, factors, y, z);
            return y.ToArray();
        }
        float[] withZeroMiddle = Run(new LowRankFactors(left, zero, right));
        Tensor zeroLeft = Input(new float[n * 8], (n, 8), type, out _);
        Tensor otherRight = Input((8, k), type, out _);
        Assert.That(
            withZeroMiddle,
            Is.EqualTo(Run(new LowRankFactors(zeroLeft, null, otherRight))),
            "the same bits whatever the factors"
        );
        if (OneRounding(variant))
            return; // the tensor-core sums are ordered unlike the library's
        Gemm.Run(x, Gemm.Transposed(weight), plain);
        Assert.That(withZeroMiddle, Is.EqualTo(plain.ToArray()), "the bits of the plain product");
    }

    /// <summary>
    /// The kernels of both directions take a bias and add to their result. Layers add backward alone, and have a bias
    /// forward alone.
    /// </summary>
    [Test]
    public void KernelsAddToTheirResult(
        [Values(LowRankVariant.Portable, LowRankVariant.Hopper)] LowRankVariant variant,
        [Values] bool forward,
        [Values(127, 130)] int m
    )
    {
        const int n = 456; // two tiles of hopper, also the second with a part of its last 64 columns
        const int k = 72;
        const int r = 16;
        LowRankDirection direction = forward ? LowRankDirection.Forward : LowRankDirection.InputGradient;
        var call = new LowRankCase(Device, DType.BF16, direction, m, n, k, r);
        LowRankLinearVariant kernel = LowRankLinear.Variants[variant];
        if (kernel.Refuses(call) is { } refusal)
            Assert.Ignore($"{kernel.Name}: {refusal}");
        (int, int) Right(int depth) => forward ? (n, depth) : (depth, n);
        ColumnRange x = Input((m, k), DType.BF16, out double[] xs);
        ColumnRange weight = Input(Right(k), DType.BF16, out double[] weights);
        ColumnRange z = Input((m, r), DType.BF16, out double[] zs);
        ColumnRange factor = Input(Right(r), DType.BF16, out double[] factors);
        Tensor bias = Input(n, DType.BF16, out double[] biases);
        Tensor y = Input((m, n), DType.BF16, out double[] before);
        kernel.Run(new LowRankProduct(call, x, weight, z, 1, factor, bias, y, Accumulate: true));

        Reference Product(double[] left, double[] right, int depth) =>
            Reference.Of(left, m, depth)
            * (forward ? Reference.Of(right, n, depth).Transposed() : Reference.Of(right, depth, n));
        Reference expected =
            Product(xs, weights, k)
            + Product(zs, factors, r)
            + Reference.Of(Enumerable.Range(0, m * n).Select(i => biases[i % n]).ToArray(), m, n)
            + Reference.Of(before, m, n);
        Verify(y, expected.Value, expected.Magnitude, k + r, "y");
    }

    [Test]
    public void GradientsAreThoseOfTheDifferences([Values] bool middle)
    {
        const int m = 5;
        const int n = 6;
        const int k = 7;
        const int r = 3;
        Tensor x = Input((m, k), DType.F32, out double[] xs);
        Tensor weight = Input((n, k), DType.F32, out _);
        Tensor dy = Input((m, n), DType.F32, out double[] dys);
        LowRankFactors factors = Factors(
            n,
            k,
            r,
            DType.F32,
            middle,
            out double[] lefts,
            out double[]? c,
            out double[] rights
        );
        Tensor y = Output((m, n));
        Tensor z = Output((m, r));
        double Loss()
        {
            LowRankLinear.Forward(x, weight, null, factors, y, z);
            return y.ToArray().Select((value, i) => value * dys[i]).Sum();
        }
        Loss();
        Tensor dx = Output((m, k));
        Tensor dLeft = Output((n, r));
        Tensor dRight = Output((r, k));
        Tensor dMiddle = Output(r);
        LowRankLinear.Backward(
            x,
            weight,
            factors,
            z,
            dy,
            dx,
            new LowRankGradients(dLeft, 0, middle ? dMiddle : null, dRight)
        );
        void VerifyDifferences(Tensor parameter, double[] values, Tensor gradient, string what)
        {
            double[] differences = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                float[] moved = Array.ConvertAll(values, value => (float)value);
                double Moved(float step)
                {
                    moved[i] = (float)values[i] + step;
                    parameter.CopyFrom(moved);
                    return Loss();
                }
                differences[i] = (Moved(1) - Moved(-1)) / 2; // linear in each entry: a large step costs nothing
            }
            parameter.CopyFrom(Array.ConvertAll(values, value => (float)value));
            double size = y.ToArray().Select((value, i) => Math.Abs(value * dys[i])).Sum() + 100;
            Verify(gradient, differences, Enumerable.Repeat(size, values.Length).ToArray(), k + r, what);
        }
        VerifyDifferences(x, xs, dx, "dx");
        VerifyDifferences(factors.Left, lefts, dLeft, "dL");
        VerifyDifferences(factors.Right, rights, dRight, "dR");
        if (middle)
            VerifyDifferences(factors.Middle!, c!, dMiddle, "dc");
    }

    [Test]
    public void OnlyWhatIsAskedForIsComputed([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor weight = Input((9, 10), type, out _);
        Tensor dy = Input((4, 9), type, out _);
        Tensor z = Input((4, 3), type, out _);
        Tensor x = Input((4, 10), type, out _);
        LowRankFactors factors = Factors(9, 10, 3, type, true, out _, out _, out _);
        Tensor dx = Output((4, 10), type);
        Tensor dxAlone = Output((4, 10), type);
        Tensor dRight = Output((3, 10));
        Tensor dLeft = Output((9, 3));
        LowRankLinear.Backward(x, weight, factors, z, dy, dx, new LowRankGradients(dLeft, 0, null, dRight));
        LowRankLinear.Backward(null, weight, factors, z, dy, dxAlone, default);
        Assert.That(dxAlone.ToArray(), Is.EqualTo(dx.ToArray()));
        Assert.That(
            () => LowRankLinear.Backward(null, weight, factors, z, dy, dxAlone, new LowRankGradients(Right: dRight)),
            Throws.ArgumentNullException
        );
    }

    [Test]
    public void TheRuleAndWhatForcesIt()
    {
        Assert.That(
            LowRankLinear.Choose(Device, DType.BF16).ToString(),
            Is.EqualTo("low_rank_linear forward bf16: composed-b")
        );
        LowRankLinear.Force(Device, LowRankVariant.Portable);
        Assert.That(LowRankLinear.Choose(Device, DType.BF16).Choice, Is.EqualTo("portable"));
        Assert.That(
            LowRankLinear.Choose(Device, DType.F32).Choice,
            Is.EqualTo("composed-b (portable does not apply: it is BF16 only)")
        );
        Assert.That(LowRankLinear.Augments(Device, DType.BF16), Is.False);
        LowRankLinear.Force(Device, LowRankVariant.Augmented);
        Assert.That(
            LowRankLinear.Choose(Device, DType.F32).ToString(),
            Is.EqualTo("low_rank_linear forward f32: augmented")
        );
        Assert.That(LowRankLinear.Augments(Device, DType.F32), Is.True);
        Assert.That(
            Enum.GetValues<LowRankVariant>().Select(LowRankLinear.NameOf),
            Is.SupersetOf(new[] { "composed-a", "composed-b", "portable", "augmented" })
        );
        Assert.That(
            () => LowRankLinear.Force(Device, (LowRankVariant)99),
            Throws.InstanceOf<ArgumentOutOfRangeException>()
        );
    }

    [Test]
    public void WhatRanIsRecorded()
    {
        Device.Variants.Clear();
        LowRankLinear.Force(Device, LowRankVariant.Portable);
        foreach (DType type in FloatTypes)
        {
            Tensor x = Input((3, 8), type, out _);
            Tensor weight = Input((4, 8), type, out _);
            Tensor y = Output((3, 4), type);
            Tensor z = Output((3, 2), type);
            LowRankFactors factors = Factors(4, 8, 2, type, false, out _, out _, out _);
            LowRankLinear.Forward(x, weight, null, factors, y, z);
            LowRankLinear.Forward(x, weight, null, factors, y, z);
        }
        Assert.That(
            Device.Variants.All.Select(use => use.ToString()),
            Is.SupersetOf(
                new[]
                {
                    "low_rank_linear forward bf16: portable",
                    "low_rank_linear forward f32: composed-b (portable does not apply: it is BF16 only)",
                }
            )
        );
    }

    [Test]
    public void HopperRunsWhereItCan()
    {
        LowRankLinear.Force(Device, LowRankVariant.Hopper);
        string Ran(int k, DType type)
        {
            Device.Variants.Clear();
            Tensor x = Input((3, k), type, out _);
            Tensor weight = Input((24, k), type, out _);
            Tensor y = Output((3, 24), type);
            Tensor z = Output((3, 8), type);
            LowRankLinear.Forward(x, weight, null, Factors(24, k, 8, type, false, out _, out _, out _), y, z);
            return Device
                .Variants.All.Single(use => use.What.StartsWith("low_rank_linear ", StringComparison.Ordinal))
                .Choice;
        }
        bool has = Device.ComputeCapability == (9, 0);
        Assert.That(Ran(16, DType.F32), Is.EqualTo("composed-b (hopper does not apply: it is BF16 only)"));
        Assert.That(
            Ran(16, DType.BF16),
            Is.EqualTo(has ? "hopper" : "composed-b (hopper does not apply: it needs compute capability 9.0)")
        );
        if (!has)
            return;
        Assert.That(
            Ran(20, DType.BF16),
            Is.EqualTo("composed-b (hopper does not apply: in, out and rank must be multiples of 8)")
        );
    }

    /// <summary>
    /// On 132 multiprocessors 128 and 256 rows of 4,096 columns are 16 and 32 tiles of 256 columns, so four times as
    /// many of 64 have room at once; of 512 rows twice as many of 128 do; from 1,024 rows on nearly all have a wide
    /// one.
    /// </summary>
    [TestCase(128, 4096, 1, 64)]
    [TestCase(256, 4096, 2, 64)]
    [TestCase(512, 4096, 2, 128)]
    [TestCase(1024, 4096, 2, 256)]
    [TestCase(8192, 4096, 2, 256)]
    [TestCase(128, 64, 1, 64)]
    public void HopperTakesNarrowTilesWhereWideOnesAreFew(int rows, int columns, int cluster, int tile) =>
        Assert.That(LowRankLinearHopper.BestColumns(132, rows, columns, cluster), Is.EqualTo(tile));

    /// <summary>
    /// Each tile of the Hopper kernel, whatever this device would choose; what the chosen one gives is compared with
    /// the formula above.
    /// </summary>
    [Test]
    public void TilesOfHopperGiveTheSameBits(
        [ValueSource(nameof(HopperShapes))] (int M, int N, int K, int R) shape,
        [Values] bool forward,
        [Values] bool accumulate
    )
    {
        if (LowRankLinearHopper.RefusesDevice(Device) is { } refusal)
            Assert.Ignore(refusal);
        (int m, int n, int k, int r) = shape;
        (int depth, int columns) = forward ? (k, n) : (n, k);
        LowRankDirection direction = forward ? LowRankDirection.Forward : LowRankDirection.InputGradient;
        var call = new LowRankCase(Device, DType.BF16, direction, m, columns, depth, r);
        Tensor x = Input((m, depth), DType.BF16, out _);
        Tensor weight = Input((n, k), DType.BF16, out _);
        Tensor source = Input((m, r), DType.BF16, out _);
        Tensor factor = Input(forward ? (n, r) : (r, k), DType.BF16, out _);
        Tensor before = Input((m, columns), DType.BF16, out _);
        float[] Result(int tile)
        {
            Tensor y = Output((m, columns), DType.BF16);
            y.CopyFrom(before);
            new LowRankLinearHopper(tile).Run(
                new LowRankProduct(call, x, weight, source, 1, factor, null, y, accumulate)
            );
            return y.ToArray();
        }
        float[] chosen = Result(0);
        foreach (int tile in LowRankLinearHopper.Tiles)
            Assert.That(Result(tile), Is.EqualTo(chosen), $"tiles of {tile} columns");
    }

    [Test]
    public void AVariableThatNamesNothingIsRefused()
    {
        var choice = new ForcedChoice<LowRankVariant>(
            "SPECTRAL_LOWRANK",
            ("composed-a", LowRankVariant.ComposedA),
            ("portable", LowRankVariant.Portable)
        );
        Assert.That(choice.Parse("portable"), Is.EqualTo(LowRankVariant.Portable));
        Assert.That(choice.Parse(""), Is.Null);
        Assert.That(
            () => choice.Parse("fast"),
            Throws.InvalidOperationException.With.Message.EqualTo(
                "SPECTRAL_LOWRANK is 'fast', expected composed-a or portable"
            )
        );
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        Tensor x = Input((4, 6), DType.F32, out _);
        Tensor weight = Input((5, 6), DType.F32, out _);
        Tensor y = Output((4, 5));
        Tensor z = Output((4, 2));
        Tensor half = Input((4, 6), DType.BF16, out _);
        LowRankFactors factors = Factors(5, 6, 2, DType.F32, true, out _, out _, out _);
        Tensor dRight = Output((2, 6));
        Tensor dLeft = Output((5, 2));
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
                    .And.Message.Contains("expected")
            );
        Names("x", () => LowRankLinear.Forward(y, weight, null, factors, y, z));
        Names("weight", () => LowRankLinear.Forward(half, weight, null, factors, y, z));
        Names("weight", () => LowRankLinear.Forward(x, Keep(weight.View(30)), null, factors, y, z));
        Names("bias", () => LowRankLinear.Forward(x, weight, x, factors, y, z));
        Names("y", () => LowRankLinear.Forward(x, weight, null, factors, x, z));
        Names("z", () => LowRankLinear.Forward(x, weight, null, factors, y, y));
        Names("Left", () => LowRankLinear.Forward(x, weight, null, factors with { Left = x }, y, z));
        Names("Right", () => LowRankLinear.Forward(x, weight, null, factors with { Right = weight }, y, z));
        Names("Middle", () => LowRankLinear.Forward(x, weight, null, factors with { Middle = weight }, y, z));
        Names("dy", () => LowRankLinear.Backward(x, weight, factors, z, x, null, default));
        Names("dx", () => LowRankLinear.Backward(x, weight, factors, z, y, y, default));
        Names(
            "Right",
            () =>
                LowRankLinear.Backward(
                    x,
                    weight,
                    factors,
                    z,
                    y,
                    null,
                    new LowRankGradients(Right: dRight, RightFrom: 1)
                )
        );
        Names("Left", () => LowRankLinear.Backward(x, weight, factors, z, y, null, new LowRankGradients(Left: dRight)));
        Names(
            "RightFrom",
            () =>
                LowRankLinear.Backward(
                    x,
                    weight,
                    factors,
                    z,
                    y,
                    null,
                    new LowRankGradients(Right: dRight, RightFrom: -1)
                )
        );
        Assert.That(dLeft.ToArray(), Is.All.NaN, "nothing was written");
    }

    private static bool OneRounding(LowRankVariant variant) =>
        variant is LowRankVariant.Portable or LowRankVariant.Hopper;

    private LowRankFactors Factors(
        int outputs,
        int inputs,
        int rank,
        DType type,
        bool middle,
        out double[] left,
        out double[]? c,
        out double[] right
    )
    {
        Tensor l = Input((outputs, rank), type, out left);
        Tensor r = Input((rank, inputs), type, out right);
        Tensor? vector = middle ? Input(rank, DType.F32, out c) : null;
        if (!middle)
            c = null;
        else
            c = Array.ConvertAll(vector!.ToArray(), value => (double)value);
        return new LowRankFactors(l, vector, r, middle ? 1.5f : 0.75f);
    }

    // Per element the sum of |a ∘ scale c| |b| over the inner dimension: what a relative rounding of a weighs.
    private static double[] Terms(Reference a, double[]? c, double scale, Reference b) =>
        (Reference.Of(a.Scaled(c, scale).Value, a.Rows, a.Columns) * b).Magnitude;
}
