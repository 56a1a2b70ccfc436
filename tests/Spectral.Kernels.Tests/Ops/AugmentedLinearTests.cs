using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

/// <summary>
/// Layers over laid-out activations, against the formula in double; padding starts as NaN and must stay out of
/// everything.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AugmentedLinearTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Scale = 0.75f;

    /// <summary>
    /// M, K, and N and rank of each layer: single elements, odd widths, one layer, several tiles, a sum of ranks over
    /// one read.
    /// </summary>
    private static readonly (int M, int K, int[] N, int[] P)[] Shapes =
    [
        (1, 1, [1], [1]),
        (7, 33, [127, 1], [7, 2]),
        (33, 127, [7, 33, 5], [1, 3, 2]),
        (130, 72, [40, 24], [8, 16]),
        (127, 1000, [33], [7]),
        (257, 136, [136, 40, 48], [64, 8, 64]),
        (1000, 7, [33], [4]),
    ];

    private static readonly object[][] Runs =
    [
        [DType.F32, LowRankPassKind.Blas],
        [DType.BF16, LowRankPassKind.Blas],
        [DType.BF16, LowRankPassKind.Kernels],
    ];

    [TearDown]
    public void ByRuleAgain() => LowRank.ForcePasses(Device, null);

    [Test]
    public void MatchesTheReference(
        [ValueSource(nameof(Shapes))] (int M, int K, int[] N, int[] P) shape,
        [ValueSource(nameof(Runs))] object[] run,
        [Values] bool middle
    )
    {
        (int m, int k, int[] outs, int[] ranks) = shape;
        var type = (DType)run[0];
        LowRank.ForcePasses(Device, (LowRankPassKind)run[1]);
        int layers = outs.Length;
        int n = outs.Sum();
        int all = ranks.Sum();
        using Model model = Make(type, k, outs, ranks, middle, biased: middle);
        AugmentedWeight weight = model.Weight;
        Assert.That(
            (weight.Inputs, weight.Outputs, weight.Rank, weight.InputStride % 64, weight.OutputStride % 64),
            Is.EqualTo((k, n, all, 0, 0))
        );

        Tensor x = LaidOut(m, k, weight.InputStride, type, out double[] xs);
        Tensor dy = LaidOut(m, n, weight.OutputStride, type, out double[] dys);
        Tensor y = Output((m, n), type);
        Tensor z = Output((m, all), type);
        Tensor dx = Output((m, k), type);
        AugmentedLinear.Forward(weight, x, y, middle ? z : null);
        var dLefts = new Tensor[layers];
        var dRights = new Tensor[layers];
        var dMiddles = new Tensor[layers];
        var gradients = new LowRankGradients[layers];
        for (int j = 0; j < layers; j++)
        {
            (int leftFrom, int rightFrom) = middle ? (ranks[j] / 2, ranks[j] / 3) : (0, 0);
            (dLefts[j], dRights[j], dMiddles[j]) = (
                Output((outs[j], ranks[j] - leftFrom)),
                Output((ranks[j] - rightFrom, k)),
                Output(ranks[j] - ranks[j] / 2)
            );
            gradients[j] = new LowRankGradients(
                dLefts[j],
                leftFrom,
                middle ? dMiddles[j] : null,
                dRights[j],
                rightFrom
            );
        }
        AugmentedLinear.Backward(weight, x, middle ? z : null, dy, dx, gradients);
        float[] dxOnce = dx.ToArray();
        AugmentedLinear.Backward(weight, x, middle ? z : null, dy, dx, gradients, Accumulate.Gradients | Accumulate.Dx);

        var xR = Reference.Of(xs, m, k);
        var dyR = Reference.Of(dys, m, n);
        var right = Reference.Of(model.Right, all, k);
        Reference zR = xR * right.Transposed();
        if (middle)
            Verify(z, zR.Value, zR.Magnitude, k, "z");
        float[] tail = x.ToArray();
        float[] outTail = dy.ToArray();
        double[] expectedY = new double[m * n];
        double[] boundY = new double[m * n];
        double[] terms = new double[m * n];
        double[] plain = new double[m * n];
        Reference? dxR = null;
        double[] dxTerms = new double[m * k];
        for (int j = 0, nFrom = 0, from = 0; j < layers; nFrom += outs[j], from += ranks[j++])
        {
            int p = ranks[j];
            int ld = weight.InputStride;
            int ldy = weight.OutputStride;
            double[]? c = model.Middle?[from..(from + p)];
            Reference scaledZ = Columns(zR, from, p).Scaled(c, Scale);
            var left = Reference.Of(model.Lefts[j], outs[j], p);
            var w = Reference.Of(model.Weights[j], outs[j], k);
            VerifyTail(tail, ld, k + from, scaledZ, type, k, $"tail of x {j}");
            Reference frozen = xR * w.Transposed();
            Reference yR = frozen + scaledZ * left.Transposed();
            double[] yTerms = (Absolute(scaledZ) * Absolute(left.Transposed())).Value;
            for (int t = 0; t < m; t++)
            {
                for (int i = 0; i < outs[j]; i++)
                {
                    (int to, int at) = (t * n + nFrom + i, t * outs[j] + i);
                    double bias = model.Biases?[j][i] ?? 0;
                    (expectedY[to], boundY[to], terms[to], plain[to]) = (
                        yR.Value[at] + bias,
                        yR.Magnitude[at] + Math.Abs(bias),
                        yTerms[at],
                        bias == 0 ? 0 : yR.Value[at]
                    );
                }
            }

            Reference mine = Columns(dyR, nFrom, outs[j]);
            Reference g = mine * left;
            Reference scaledG = g.Scaled(c, Scale);
            var rightJ = Reference.Of(model.Right[(from * k)..((from + p) * k)], p, k);
            VerifyTail(outTail, ldy, n + from, scaledG, type, n, $"tail of dy {j}");
            Reference dxOf = mine * w + scaledG * rightJ;
            dxR = dxR is null ? dxOf : dxR + dxOf;
            double[] more = (Absolute(scaledG) * Absolute(rightJ)).Value;
            for (int i = 0; i < more.Length; i++)
                dxTerms[i] += more[i];

            // dL hangs on Scale · c ∘ z as stored, so that its error and that of z are judged apart; all gradients
            // stand there twice.
            double[] storedZ = new double[m * p];
            for (int i = 0; i < storedZ.Length; i++)
                storedZ[i] = tail[i / p * ld + k + from + i % p];
            Reference dL = (mine.Transposed() * Reference.Of(storedZ, m, p)).ColumnsFrom(gradients[j].LeftFrom);
            Verify(dLefts[j], (dL + dL).Value, (dL + dL).Magnitude, m, $"dL {j}");
            Reference dR = scaledG.Transposed() * xR;
            double[] dRTerms = (Absolute(scaledG.Transposed()) * Absolute(xR)).Value;
            Reference dRBound = (dR + dR).Roundings(type, m + n, dRTerms, dRTerms, dRTerms, dRTerms);
            Verify(
                dRights[j],
                dRBound.RowsFrom(gradients[j].RightFrom).Value,
                dRBound.RowsFrom(gradients[j].RightFrom).Magnitude,
                m + n,
                $"dR {j}"
            );
            if (middle)
                VerifyMiddle(dMiddles[j], g, zR, from, type, m + k + n);
        }
        // Scale · c ∘ z is stored in the type, after z where the library computes it; y before its bias is.
        Verify(
            y,
            expectedY,
            new Reference(expectedY, boundY, m, n).Roundings(type, k + all, terms, terms, plain).Magnitude,
            k + all,
            "y"
        );
        Reference dxBound = dxR!.Roundings(type, n + all, dxTerms, dxTerms);
        Comparator.Verify(
            Array.ConvertAll(dxOnce, value => (double)value),
            dxR.Value,
            type,
            dxBound.Magnitude,
            n + all,
            "dx"
        );
        Reference twice = dxR + Reference.Of(Array.ConvertAll(dxOnce, value => (double)value), m, k);
        Verify(
            dx,
            twice.Value,
            (dxBound + Reference.Of(Array.ConvertAll(dxOnce, value => (double)value), m, k)).Magnitude,
            n + all,
            "dx accumulated"
        );
        Assert.That(Padding(x, k + all).Concat(Padding(dy, n + all)), Is.All.NaN, "padding is not written");
    }

    [Test]
    public void ARefreshTakesOverTheFactors([ValueSource(nameof(FloatTypes))] DType type)
    {
        using Model model = Make(type, 40, [24, 17], [5, 8], middle: true, biased: true);
        Tensor x = LaidOut(33, 40, model.Weight.InputStride, type, out _);
        Tensor y = Output((33, 41), type);
        Tensor dy = LaidOut(33, 41, model.Weight.OutputStride, type, out _);
        Tensor dx = Output((33, 40), type);
        float[] Run(AugmentedWeight weight)
        {
            AugmentedLinear.Forward(weight, x, y);
            AugmentedLinear.Backward(weight, null, null, dy, dx, [default, default]);
            return [.. y.ToArray(), .. dx.ToArray()];
        }
        float[] before = Run(model.Weight);
        Assert.That(Run(model.Weight), Is.EqualTo(before), "twice the same");
        foreach (LowRankFactors member in model.Stack.Members)
        {
            foreach (Tensor factor in new[] { member.Left, member.Right })
                factor.CopyFrom(Array.ConvertAll(factor.ToArray(), value => -1.5f * value + 1));
        }

        model.Weight.Refresh();
        using var anew = new AugmentedWeight(model.Layers, model.Stack);
        float[] after = Run(model.Weight);
        Assert.That(after, Is.Not.EqualTo(before));
        Assert.That(after, Is.EqualTo(Run(anew)), "as if packed anew");
    }

    [Test]
    public void OnlyWhatIsAskedForIsComputed([ValueSource(nameof(FloatTypes))] DType type)
    {
        using Model model = Make(type, 10, [9, 6], [3, 2], middle: false, biased: false);
        Tensor dy = LaidOut(4, 15, model.Weight.OutputStride, type, out _);
        Tensor x = LaidOut(4, 10, model.Weight.InputStride, type, out _);
        Tensor z = Output((4, 5), type);
        AugmentedLinear.Forward(model.Weight, x, Output((4, 15), type), z);
        Tensor dx = Output((4, 10), type);
        Tensor alone = Output((4, 10), type);
        Tensor dRight = Output((3, 10));
        Tensor dLeft = Output((6, 2));
        AugmentedLinear.Backward(
            model.Weight,
            x,
            z,
            dy,
            dx,
            [new LowRankGradients(Right: dRight), new LowRankGradients(dLeft)]
        );
        AugmentedLinear.Backward(model.Weight, null, null, dy, alone, [default, default]);
        Assert.That(alone.ToArray(), Is.EqualTo(dx.ToArray()));
        AugmentedLinear.Backward(model.Weight, null, null, dy, null, [default, default]);
    }

    [Test]
    public void NoRowsGiveZeroGradients([ValueSource(nameof(FloatTypes))] DType type)
    {
        using Model model = Make(type, 10, [9], [3], middle: true, biased: true);
        Tensor x = Output((0, model.Weight.InputStride), type);
        Tensor dy = Output((0, model.Weight.OutputStride), type);
        Tensor z = Output((0, 3), type);
        Tensor dLeft = Output((9, 3));
        Tensor dRight = Output((3, 10));
        Tensor dMiddle = Output(3);
        AugmentedLinear.Forward(model.Weight, x, Output((0, 9), type), z);
        AugmentedLinear.Backward(
            model.Weight,
            x,
            z,
            dy,
            Output((0, 10), type),
            [new LowRankGradients(dLeft, 0, dMiddle, dRight)]
        );
        Assert.That(dLeft.ToArray().Concat(dRight.ToArray()).Concat(dMiddle.ToArray()), Is.All.EqualTo(0f));
    }

    [Test]
    public void WhatRanIsRecorded()
    {
        using Model model = Make(DType.BF16, 8, [8], [8], middle: false, biased: false);
        Tensor x = LaidOut(3, 8, model.Weight.InputStride, DType.BF16, out _);
        Device.Variants.Clear();
        AugmentedLinear.Forward(model.Weight, x, Output((3, 8), DType.BF16));
        Assert.That(
            Device.Variants.All.Select(use => use.ToString()),
            Does.Contain("low_rank_linear forward bf16: augmented")
        );
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        using Model model = Make(DType.F32, 6, [4, 3], [2, 1], middle: true, biased: false);
        AugmentedWeight weight = model.Weight;
        Tensor x = LaidOut(5, 6, 64, DType.F32, out _);
        Tensor dy = LaidOut(5, 7, 64, DType.F32, out _);
        Tensor y = Output((5, 7));
        Tensor z = Output((5, 3));
        Tensor half = Output((5, 64), DType.BF16);
        Tensor narrow = Output((5, 6));
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
            );
        Names("layers", () => new AugmentedWeight([model.Layers[0]], model.Stack));
        Names("layers", () => new AugmentedWeight([model.Layers[0], new LowRankLayer(y, null)], model.Stack));
        Names("layers", () => new AugmentedWeight([model.Layers[0] with { Bias = y }, model.Layers[1]], model.Stack));
        Names("Left", () => new AugmentedWeight([model.Layers[1], model.Layers[0]], model.Stack));
        Names(
            "layers",
            () => new AugmentedWeight([new LowRankLayer(Output((4, 0)), null), model.Layers[1]], model.Stack)
        );
        Names("x", () => AugmentedLinear.Forward(weight, narrow, y));
        Names("x", () => AugmentedLinear.Forward(weight, half, y));
        Names("y", () => AugmentedLinear.Forward(weight, x, narrow));
        Names("z", () => AugmentedLinear.Forward(weight, x, y, y));
        Names("dy", () => AugmentedLinear.Backward(weight, x, z, y, null, [default, default]));
        Names("dx", () => AugmentedLinear.Backward(weight, x, z, dy, y, [default, default]));
        Names("gradients", () => AugmentedLinear.Backward(weight, x, z, dy, null, [default]));
        Names(
            "x",
            () =>
                AugmentedLinear.Backward(
                    weight,
                    null,
                    z,
                    dy,
                    null,
                    [new LowRankGradients(Right: Output((2, 6))), default]
                )
        );
        Names(
            "z",
            () =>
                AugmentedLinear.Backward(weight, x, null, dy, null, [new LowRankGradients(Middle: Output(2)), default])
        );
        Names(
            "Left",
            () => AugmentedLinear.Backward(weight, x, z, dy, null, [new LowRankGradients(Output((3, 2))), default])
        );
    }

    private sealed record Model(
        AugmentedWeight Weight,
        LowRankStack Stack,
        LowRankLayer[] Layers,
        double[][] Weights,
        double[][]? Biases,
        double[][] Lefts,
        double[] Right,
        double[]? Middle
    ) : IDisposable
    {
        public void Dispose()
        {
            Weight.Dispose();
            Stack.Dispose();
        }
    }

    private Model Make(DType type, int k, int[] outs, int[] ranks, bool middle, bool biased)
    {
        int layers = outs.Length;
        Tensor right = Input((ranks.Sum(), k), type, out double[] rights);
        double[]? c = null;
        Tensor? diagonal = middle ? Input(ranks.Sum(), DType.F32, out c) : null;
        var lefts = new Tensor[layers];
        var frozen = new LowRankLayer[layers];
        double[][] weights = new double[layers][];
        double[][] biases = new double[layers][];
        double[][] leftValues = new double[layers][];
        for (int j = 0; j < layers; j++)
        {
            lefts[j] = Input((outs[j], ranks[j]), type, out leftValues[j]);
            biases[j] = new double[outs[j]];
            bool has = biased && j != 1; // a layer without a bias among others
            frozen[j] = new LowRankLayer(
                Input((outs[j], k), type, out weights[j]),
                has ? Input(outs[j], type, out biases[j]) : null
            );
        }
        var stack = new LowRankStack(lefts, right, diagonal, Scale);
        return new Model(
            new AugmentedWeight(frozen, stack),
            stack,
            frozen,
            weights,
            biased ? biases : null,
            leftValues,
            rights,
            c
        );
    }

    // Normal values in the first columns, NaN behind them.
    private Tensor LaidOut(int rows, int columns, int stride, DType type, out double[] values)
    {
        Tensor dense = Input((rows, columns), type, out values);
        Tensor wide = Output((rows, stride), type);
        CopyBlock.Run(dense, wide, 0, 0);
        return wide;
    }

    private static IEnumerable<float> Padding(Tensor wide, int from) =>
        wide.ToArray().Where((_, i) => i % wide.Dim(1) >= from);

    private static void VerifyTail(
        float[] wide,
        int stride,
        int from,
        Reference expected,
        DType type,
        int n,
        string what
    )
    {
        double[] actual =
        [
            .. Enumerable
                .Range(0, expected.Value.Length)
                .Select(i => (double)wide[i / expected.Columns * stride + from + i % expected.Columns]),
        ];
        // the product may be rounded first
        Comparator.Verify(actual, expected.Value, type, expected.Roundings(type, n, expected.Value).Magnitude, n, what);
    }

    // dc, computed twice on top of each other, from g and z as the type stores them.
    private static void VerifyMiddle(Tensor actual, Reference g, Reference z, int from, DType type, int n)
    {
        (double[] value, double[] magnitude, double[] rounded) = (
            new double[actual.Dim(0)],
            new double[actual.Dim(0)],
            new double[actual.Dim(0)]
        );
        for (int i = 0; i < value.Length; i++)
        {
            for (int t = 0; t < g.Rows; t++)
            {
                (int a, int b) = (t * g.Columns + i, t * z.Columns + from + i);
                value[i] += 2 * Scale * g.Value[a] * z.Value[b];
                magnitude[i] += 2 * Scale * g.Magnitude[a] * z.Magnitude[b];
                rounded[i] += 2 * Scale * Math.Abs(g.Value[a] * z.Value[b]);
            }
        }

        Verify(
            actual,
            value,
            new Reference(value, magnitude, 1, value.Length).Roundings(type, n, rounded, rounded).Magnitude,
            n,
            "dc"
        );
    }

    private static Reference Columns(Reference matrix, int first, int count)
    {
        Reference rest = matrix.Transposed().RowsFrom(first);
        return new Reference(
            rest.Value[..(count * matrix.Rows)],
            rest.Magnitude[..(count * matrix.Rows)],
            count,
            matrix.Rows
        ).Transposed();
    }

    private static Reference Absolute(Reference matrix) =>
        Reference.Of(Array.ConvertAll(matrix.Value, Math.Abs), matrix.Rows, matrix.Columns);
}
