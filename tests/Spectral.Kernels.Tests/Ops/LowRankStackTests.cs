using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

/// <summary>
/// Layers that read one x, against the formula in double, with and without dropout and by every variant.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LowRankStackTests(DeviceKind kind) : DeviceTest(kind)
{
    private const ulong MaskSeed = 11;
    private const ulong Offset = 4;
    private const uint Stream = 6;
    private const float Scale = 0.75f;

    private static readonly object[][] Runs =
    [
        .. from type in FloatTypes
        from variant in Enum.GetValues<LowRankVariant>()
        where type == DType.BF16 || variant is LowRankVariant.ComposedA or LowRankVariant.ComposedB
        select new object[] { type, variant },
    ];

    [TearDown]
    public void ByRuleAgain()
    {
        LowRankLinear.Force(Device, null);
        LowRank.ForcePasses(Device, null);
    }

    [Test]
    public void AddedTermsAreThoseOfTheReference(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool middle,
        [Values] bool rectified,
        [Values(0, 1, 33)] int m
    )
    {
        const int k = 72;
        (int[] outs, int[] ranks, int all) = ([40, 17], [8, 3], 11);
        if (middle && rectified)
            return; // no form has both
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((all, k), type, out double[] rights);
        double[]? c = null;
        Tensor? diagonal = middle ? Input(all, DType.F32, out c) : null;
        var lefts = new Tensor[2];
        var ys = new Tensor[2];
        double[][] leftValues = new double[2][];
        double[][] before = new double[2][];
        for (int j = 0; j < 2; j++)
        {
            lefts[j] = Input((outs[j], ranks[j]), type, out leftValues[j]);
            ys[j] = Input((m, outs[j]), type, out before[j]);
        }
        using var stack = new LowRankStack(lefts, right, diagonal, Scale, rectified);
        stack.Add(x, ys, Output((m, all), type));
        for (int j = 0; j < 2; j++)
        {
            int first = j == 0 ? 0 : ranks[0];
            (double[] expected, double[] sizes) = (new double[m * outs[j]], new double[m * outs[j]]);
            for (int row = 0; row < m; row++)
            {
                for (int o = 0; o < outs[j]; o++)
                {
                    int at = row * outs[j] + o;
                    (expected[at], sizes[at]) = (before[j][at], Math.Abs(before[j][at]));
                    for (int i = 0; i < ranks[j]; i++)
                    {
                        (double z, double size) = (0, 0);
                        for (int n = 0; n < k; n++)
                        {
                            double product = xs[row * k + n] * rights[(first + i) * k + n];
                            z += product;
                            size += Math.Abs(product);
                        }
                        double factor = Scale * (c?[first + i] ?? 1) * leftValues[j][o * ranks[j] + i];
                        expected[at] += factor * (rectified ? Math.Max(0, z) : z);
                        sizes[at] += Math.Abs(factor) * size;
                    }
                }
            }
            float[] actual = ys[j].ToArray();
            double unit = type == DType.F32 ? 1e-6 : 1.2e-2; // z and y are rounded to the type
            for (int at = 0; at < actual.Length; at++)
                Assert.That(actual[at], Is.EqualTo(expected[at]).Within(unit * sizes[at]), $"layer {j}, {at}");
        }
        Assert.That(
            () => stack.Add(x, [ys[0]], Output((m, all), type)),
            Throws.ArgumentException.With.Message.Contains("1 ys, expected one for each of the 2 layers")
        );
    }

    [Test]
    public void MatchesTheReference(
        [ValueSource(nameof(Runs))] object[] run,
        [Values] bool middle,
        [Values(0, 0.25)] double dropout,
        [Values(130, 33)] int m,
        [Values(Placed.Alone, Placed.Odd)] Placed placed
    )
    {
        var type = (DType)run[0];
        LowRankLinear.Force(Device, (LowRankVariant)run[1]);
        const int k = 72;
        // Hopper takes multiples of 8, and then each layer's z and g as columns of those of all.
        bool whole = (LowRankVariant)run[1] == LowRankVariant.Hopper && m == 130;
        (int[] outs, int[] ranks, int all) = whole ? ([40, 24], [8, 16], 24) : ((int[])[40, 17], (int[])[8, 3], 11);
        using var state = new StepState(Device);
        state.SeedDropout(MaskSeed, Offset);
        DropoutMask? mask = dropout > 0 ? new DropoutMask(state, Stream, dropout) : null;
        double[] keep =
        [
            .. Enumerable
                .Range(0, m * k)
                .Select(i => mask is null || DropoutTests.Keeps(MaskSeed, Offset, Stream, dropout, i))
                .Select(kept => kept ? mask?.Factor ?? 1.0 : 0.0),
        ];

        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((all, k), type, out double[] rights);
        double[]? c = null;
        Tensor? diagonal = middle ? Input(all, DType.F32, out c) : null;
        var lefts = new Tensor[2];
        var ys = new Tensor[2];
        var dys = new Tensor[2];
        var dLefts = new Tensor[2];
        var dRights = new Tensor[2];
        var layers = new LowRankLayer[2];
        double[][] weights = new double[2][];
        double[][] biases = new double[2][];
        double[][] leftValues = new double[2][];
        double[][] dyValues = new double[2][];
        for (int j = 0; j < 2; j++)
        {
            layers[j] = new LowRankLayer(
                InputColumns(outs[j], k, type, placed, out weights[j]),
                Input(outs[j], type, out biases[j])
            );
            lefts[j] = Input((outs[j], ranks[j]), type, out leftValues[j]);
            (ys[j], dys[j]) = (Output((m, outs[j]), type), Input((m, outs[j]), type, out dyValues[j]));
            (dLefts[j], dRights[j]) = (Output((outs[j], ranks[j])), Output((ranks[j], k)));
        }
        using var stack = new LowRankStack(lefts, right, diagonal, Scale);
        Tensor z = Output((m, all), type);
        Tensor dx = Input((m, k), type, out double[] dxs);
        stack.Forward(x, layers, ys, z, mask);
        stack.Backward(
            x,
            layers,
            z,
            dys,
            dx,
            [
                new LowRankGradients(dLefts[0], 0, null, dRights[0]),
                new LowRankGradients(dLefts[1], 0, null, dRights[1]),
            ],
            accumulate: Accumulate.Dx,
            dropout: mask
        );

        var xR = Reference.Of(xs, m, k);
        var kept = Reference.Of(xs.Zip(keep, (a, b) => a * b).ToArray(), m, k);
        var rightR = Reference.Of(rights, all, k);
        Reference zR = kept * rightR.Transposed();
        var dxR = Reference.Of(dxs, m, k);
        Verify(z, zR.Value, zR.Magnitude, k, "z");
        double[] roundings = dxs.Select(Math.Abs).ToArray();
        int from = 0;
        for (int j = 0; j < 2; j++)
        {
            double[]? cj = c?[from..(from + ranks[j])];
            Reference mine = Slice(zR, from, ranks[j]);
            var left = Reference.Of(leftValues[j], outs[j], ranks[j]);
            var weight = Reference.Of(weights[j], outs[j], k);
            Reference plain = xR * weight.Transposed();
            Reference low = mine.Scaled(cj, Scale) * left.Transposed();
            double[] bias = Enumerable.Range(0, m * outs[j]).Select(i => biases[j][i % outs[j]]).ToArray();
            Reference y = plain + low + Reference.Of(bias, m, outs[j]);
            double[] terms = (Absolute(mine.Scaled(cj, Scale)) * Absolute(left.Transposed())).Value;
            Verify(
                ys[j],
                y.Value,
                y.Roundings(type, k + all, terms, terms, terms, plain.Value, low.Value, (plain + low).Value).Magnitude,
                k + all,
                $"y {j}"
            );

            var dy = Reference.Of(dyValues[j], m, outs[j]);
            Reference g = dy * left;
            Reference scaled = g.Scaled(cj, Scale);
            Reference r = rightR.RowsFrom(from) is var rest
                ? Reference.Of(rest.Value[..(ranks[j] * k)], ranks[j], k)
                : rest;
            Reference dxLow = scaled * r is var product
                ? new Reference(
                    product.Value.Zip(keep, (a, b) => a * b).ToArray(),
                    product.Magnitude.Zip(keep, (a, b) => a * b).ToArray(),
                    m,
                    k
                )
                : product;
            Reference dxPlain = dy * weight;
            dxR += dxPlain + dxLow;
            double[] lowTerms = (Absolute(scaled) * Absolute(r)).Value;
            for (int i = 0; i < roundings.Length; i++)
                roundings[i] += Math.Abs(dxPlain.Value[i]) + Math.Max(1, keep[i]) * (4 * lowTerms[i]);
            Reference dR = scaled.Transposed() * kept;
            double[] dRTerms = (Absolute(scaled.Transposed()) * Absolute(kept)).Value;
            Verify(dRights[j], dR.Value, dR.Roundings(type, m + 64, dRTerms, dRTerms).Magnitude, m + 64, $"dR {j}");
            double[] zs = Slice(
                Reference.Of(Array.ConvertAll(z.ToArray(), value => (double)value), m, all),
                from,
                ranks[j]
            ).Value;
            Reference dL = (dy.Transposed() * Reference.Of(zs, m, ranks[j])).Scaled(cj, Scale);
            Verify(dLefts[j], dL.Value, dL.Roundings(type, m, dL.Magnitude).Magnitude, m, $"dL {j}");
            from += ranks[j];
        }
        // dx is rounded after each of the products that are added into it.
        Verify(dx, dxR.Value, dxR.Roundings(type, k + all, roundings, roundings).Magnitude, k + all, "dx");
    }

    /// <summary>
    /// y = x Wᵀ + s·relu(x Rᵀ) Lᵀ and its adjoint, where negative entries of x Rᵀ pass nothing either way.
    /// </summary>
    [Test]
    public void ARectifiedStackCutsItsProjection([ValueSource(nameof(FloatTypes))] DType type, [Values] bool diagonal)
    {
        const int m = 33;
        const int k = 24;
        const int n = 17;
        const int r = 5;
        Tensor x = Input((m, k), type, out double[] xs);
        Tensor right = Input((r, k), type, out double[] rights);
        Tensor left = Input((n, r), type, out double[] lefts);
        Tensor weight = Input((n, k), type, out double[] weights);
        Tensor dy = Input((m, n), type, out double[] dys);
        Tensor y = Output((m, n), type);
        Tensor z = Output((m, r), type);
        Tensor dx = Output((m, k), type);
        Tensor dLeft = Output((n, r));
        Tensor dRight = Output((r, k));
        double[]? middle = null;
        using var stack = new LowRankStack(
            [left],
            right,
            diagonal ? Input(r, DType.F32, out middle) : null,
            Scale,
            rectified: true
        );
        LowRankLayer[] layers = [new(weight, null)];
        stack.Forward(x, layers, [y], z);
        stack.Backward(x, layers, z, [dy], dx, [new LowRankGradients(dLeft, 0, null, dRight)]);

        var xR = Reference.Of(xs, m, k);
        var rightR = Reference.Of(rights, r, k);
        var leftR = Reference.Of(lefts, n, r);
        var weightR = Reference.Of(weights, n, k);
        var dyR = Reference.Of(dys, m, n);
        double[] kept = Array.ConvertAll(z.ToArray(), value => (double)value);
        Reference product = xR * rightR.Transposed();
        var zR = Reference.Of(kept, m, r);
        Verify(z, [.. product.Value.Select(value => Math.Max(value, 0))], product.Magnitude, k, "z");
        Reference scaled = zR.Scaled(middle, Scale);
        Reference expected = xR * weightR.Transposed() + scaled * leftR.Transposed();
        Verify(
            y,
            expected.Value,
            expected.Roundings(type, k + r, expected.Magnitude, expected.Magnitude).Magnitude,
            k + r,
            "y"
        );
        Reference g = (dyR * leftR).Scaled(middle, Scale);
        Reference masked = new(
            [.. g.Value.Select((value, i) => kept[i] > 0 ? value : 0)],
            [.. g.Magnitude.Select((value, i) => kept[i] > 0 ? value : 0)],
            m,
            r
        );
        Reference dxR = dyR * weightR + masked * rightR;
        Reference dR = masked.Transposed() * xR;
        Reference dL = dyR.Transposed() * scaled;
        Verify(
            dx,
            dxR.Value,
            dxR.Roundings(type, n + r, dxR.Magnitude, dxR.Magnitude, dxR.Magnitude).Magnitude,
            n + r,
            "dx"
        );
        Verify(dRight, dR.Value, dR.Roundings(type, m, dR.Magnitude, dR.Magnitude).Magnitude, m, "dR");
        Verify(dLeft, dL.Value, dL.Roundings(type, m, dL.Magnitude).Magnitude, m, "dL");
        Assert.That(kept, Has.Some.Zero.And.Some.GreaterThan(0));
        Assert.That(
            () => stack.Backward(x, layers, z, [dy], dx, [new LowRankGradients(Middle: Output(r))]),
            Throws.ArgumentException.With.Message.Contains("no gradient of c")
        );
    }

    /// <summary>
    /// With the mask held fixed everything is linear in each entry, so that large steps cost nothing.
    /// </summary>
    [Test]
    public void GradientsUnderDropoutAreThoseOfTheDifferences()
    {
        const int m = 5;
        const int k = 7;
        using var state = new StepState(Device);
        state.SeedDropout(3);
        var mask = new DropoutMask(state, 1, 0.4);
        Tensor x = Input((m, k), DType.F32, out double[] xs);
        Tensor right = Input((5, k), DType.F32, out double[] rights);
        Tensor[] lefts = [Input((6, 2), DType.F32, out double[] lefts0), Input((4, 3), DType.F32, out _)];
        LowRankLayer[] layers =
        [
            new(Input((6, k), DType.F32, out _), null),
            new(Input((4, k), DType.F32, out _), null),
        ];
        Tensor[] ys = [Output((m, 6)), Output((m, 4))];
        Tensor[] dys = [Input((m, 6), DType.F32, out double[] dy0), Input((m, 4), DType.F32, out double[] dy1)];
        Tensor z = Output((m, 5));
        Tensor dx = Output((m, k));
        Tensor dLeft = Output((6, 2));
        Tensor[] dRights = [Output((2, k)), Output((3, k))];
        using var stack = new LowRankStack(lefts, right, null, 0.5f);
        double Loss()
        {
            stack.Forward(x, layers, ys, z, mask);
            return ys[0].ToArray().Select((value, i) => value * dy0[i]).Sum()
                + ys[1].ToArray().Select((value, i) => value * dy1[i]).Sum();
        }
        Loss();
        stack.Backward(
            x,
            layers,
            z,
            dys,
            dx,
            [new LowRankGradients(dLeft, 0, null, dRights[0]), new LowRankGradients(Right: dRights[1])],
            dropout: mask
        );
        void Differences(Tensor parameter, double[] values, double[] gradient, string what)
        {
            double[] differences = new double[values.Length];
            float[] moved = Array.ConvertAll(values, value => (float)value);
            for (int i = 0; i < values.Length; i++)
            {
                double Moved(float step)
                {
                    moved[i] = (float)values[i] + step;
                    parameter.CopyFrom(moved);
                    return Loss();
                }
                differences[i] = (Moved(1) - Moved(-1)) / 2;
                moved[i] = (float)values[i];
            }
            parameter.CopyFrom(moved);
            Comparator.Verify(
                gradient,
                differences,
                DType.F32,
                Enumerable.Repeat(200.0, values.Length).ToArray(),
                k + 5,
                what
            );
        }
        double[] Values(params Tensor[] tensors) =>
            [.. tensors.SelectMany(tensor => tensor.ToArray()).Select(value => (double)value)];
        Differences(x, xs, Values(dx), "dx");
        Differences(right, rights, Values(dRights), "dR");
        Differences(lefts[0], lefts0, Values(dLeft), "dL");
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        Tensor right = Input((5, 6), DType.F32, out _);
        Tensor left = Input((4, 2), DType.F32, out _);
        Tensor x = Input((3, 6), DType.F32, out _);
        Tensor weight = Input((4, 6), DType.F32, out _);
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
                    .And.Message.Contains("expected")
            );
        Names("right", () => new LowRankStack([left, left], right, null));
        Names("middle", () => new LowRankStack([left], Keep(right.Rows(0, 2)), left));
        using var stack = new LowRankStack([left, left], Keep(right.Rows(0, 4)), null);
        Tensor y = Output((3, 4));
        Tensor z = Output((3, 4));
        LowRankLayer layer = new(weight, null);
        Names("layers", () => stack.Forward(x, [layer], [y, y], z));
        Names("ys", () => stack.Forward(x, [layer, layer], [y], z));
        Names("z", () => stack.Forward(x, [layer, layer], [y, y], x));
        Names("dys", () => stack.Backward(x, [layer, layer], z, [y], null, [default, default]));
        Names("gradients", () => stack.Backward(x, [layer, layer], z, [y, y], null, [default]));
    }

    private static Reference Slice(Reference matrix, int first, int count)
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
