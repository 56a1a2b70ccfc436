using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FlashAttentionTests(DeviceKind kind) : DeviceTest(kind)
{
    // batch, heads, key/value heads, length, head dimension: single and several tiles of 32, 64 and 128, ragged ends,
    // both kernel widths
    private static readonly (int B, int H, int KV, int S, int D)[] Cases =
    [
        (1, 1, 1, 1, 8),
        (2, 4, 2, 7, 16),
        (1, 6, 2, 33, 64),
        (2, 2, 1, 127, 40),
        (1, 2, 2, 130, 128),
        (1, 3, 1, 65, 72),
        (1, 2, 1, 257, 64),
        (1, 1, 1, 500, 96),
    ];

    // A window inside a tile, one over several tiles, one longer than most of the sequences.
    private static readonly int[] Windows = [0, 5, 70, 150];

    // None, and one that bends most scores.
    private static readonly float[] SoftCaps = [0, 0.7f];

    // A cap changes scores, and not how rows are read: one way of reading with it is enough.
    private static readonly (Placed Placed, float SoftCap)[] Forms =
    [
        (Placed.Alone, 0),
        (Placed.Aligned, 0),
        (Placed.Aligned, SoftCaps[1]),
    ];

    private static readonly (int Window, float SoftCap)[] PackedForms = [(0, 0), (5, SoftCaps[1]), (150, 0)];

    // Weights and their gradients are rounded to BF16 between two products: 2^-8 of each term, whatever their number.
    private static double Rounding(int terms, int roundings = 1) => roundings * (1 << 13) / Math.Sqrt(terms) + 1;

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(Windows))] int window,
        [ValueSource(nameof(Forms))] (Placed Placed, float SoftCap) form
    ) => VerifyForward(size, window, form.Placed, form.SoftCap, spans: null);

    [Test]
    public void RecordsOfARowAreApartInForward(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(PackedForms))] (int Window, float SoftCap) form
    ) => VerifyForward(size, form.Window, Placed.Aligned, form.SoftCap, JoinedRecords.Spans(size.B, size.S, Rng));

    [Test]
    public void RecordsOfARowAreApartInBackward(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(PackedForms))] (int Window, float SoftCap) form
    ) => VerifyBackward(size, form.Window, Placed.Aligned, form.SoftCap, JoinedRecords.Spans(size.B, size.S, Rng));

    private void VerifyForward(
        (int B, int H, int KV, int S, int D) size,
        int window,
        Placed placed,
        float softCap,
        int[]? spans
    )
    {
        (int b, int h, int kv, int s, int d) = size;
        Tensor q = Input((b, h, s, d), DType.BF16, out double[] qv);
        Tensor k = Input((b, kv, s, d), DType.BF16, out double[] kvs);
        ColumnRange v = InputColumns(b * s, kv * d, DType.BF16, placed, out double[] vv);
        ColumnRange output = OutputColumns(b * s, h * d, DType.BF16, placed);
        Tensor lse = Output((b, h, s));
        FlashAttention.Forward(q, k, v, output, lse, window, softCap, Given(spans));
        Expected expected = new(size, qv, kvs, vv, window, softCap, spans);
        // the sum of exponentials is off by 2^-22 of itself, which is more than a rounding of a logarithm near 0
        Verify(lse, expected.Lse, Array.ConvertAll(expected.Lse, x => Math.Abs(x) + 1), d, "lse", factor: 2);
        Verify(output, expected.Output, expected.OutputTerms, d + s, "output", Rounding(d + s));
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(Windows))] int window,
        [ValueSource(nameof(Forms))] (Placed Placed, float SoftCap) form
    ) => VerifyBackward(size, window, form.Placed, form.SoftCap, spans: null);

    private void VerifyBackward(
        (int B, int H, int KV, int S, int D) size,
        int window,
        Placed placed,
        float softCap,
        int[]? spans
    )
    {
        (int b, int h, int kv, int s, int d) = size;
        Tensor q = Input((b, h, s, d), DType.BF16, out double[] qv);
        Tensor k = Input((b, kv, s, d), DType.BF16, out double[] kvs);
        ColumnRange v = InputColumns(b * s, kv * d, DType.BF16, placed, out double[] vv);
        ColumnRange dOutput = InputColumns(b * s, h * d, DType.BF16, placed, out double[] dov);
        Expected expected = new(size, qv, kvs, vv, window, softCap, spans);
        ColumnRange output = OutputColumns(b * s, h * d, DType.BF16, placed);
        ColumnRange dv = OutputColumns(b * s, kv * d, DType.BF16, placed);
        CopyBlock.Run(
            Input(Array.ConvertAll(expected.Output, x => (float)x), (b * s, h * d), DType.BF16, out _),
            output.Matrix,
            0,
            output.From
        );
        Tensor lse = Input(Array.ConvertAll(expected.Lse, x => (float)x), (b, h, s), DType.F32, out _);
        Tensor dq = Output((b, h, s, d), DType.BF16);
        Tensor dk = Output((b, kv, s, d), DType.BF16);
        FlashAttention.Backward(q, k, v, output, lse, dOutput, new(dq, dk, dv), window, softCap, Given(spans));
        expected.Differentiate(dov);
        // a second rounding: delta comes from the rounded output
        Verify(dq, expected.Dq, expected.DqTerms, s + d, "dq", Rounding(s + d, 2));
        Verify(dk, expected.Dk, expected.DkTerms, s + d, "dk", Rounding(s + d, 2));
        Verify(dv, expected.Dv, expected.DvTerms, s + d, "dv", Rounding(s + d));
    }

    private Tensor? Given(int[]? spans) => spans is null ? null : Input(spans, (spans.Length / 2, 2));

    [Test]
    public void LargeScoresDoNotOverflow([Values(0f, 50f)] float softCap)
    {
        const int S = 70;
        const int D = 64;
        Tensor q = Input((1, 1, S, D), DType.BF16, out double[] qv, deviation: 20);
        Tensor k = Input((1, 1, S, D), DType.BF16, out double[] kv, deviation: 20);
        Tensor v = Input((S, D), DType.BF16, out double[] vv);
        Tensor output = Output((S, D), DType.BF16);
        Tensor lse = Output((1, 1, S));
        FlashAttention.Forward(q, k, v, output, lse, softCap: softCap);
        Expected expected = new((1, 1, 1, S, D), qv, kv, vv, 0, softCap);
        // scores of thousands: their own F32 rounding is an absolute error of the exponents
        double largest = expected.Lse.Max(Math.Abs);
        Verify(lse, expected.Lse, Array.ConvertAll(expected.Lse, _ => largest), D, "lse");
        Verify(output, expected.Output, expected.OutputTerms, D + S, "output", Rounding(D + S) + largest);
    }

    [Test]
    public void ANaNStaysInTheRowsThatSeeIt([ValueSource(nameof(SoftCaps))] float softCap)
    {
        const int S = 70;
        const int D = 64;
        const int Bad = 40;
        Tensor q = Input((1, 1, S, D), DType.BF16, out _);
        Tensor v = Input((S, D), DType.BF16, out _);
        Tensor output = Output((S, D), DType.BF16);
        Tensor lse = Output((1, 1, S));
        float[] keys = Input((1, 1, S, D), DType.F32, out _).ToArray();
        keys[Bad * D] = float.NaN;
        FlashAttention.Forward(q, Input(keys, (1, 1, S, D), DType.BF16, out _), v, output, lse, softCap: softCap);
        float[] result = output.ToArray();
        for (int row = 0; row < S; row++)
            Assert.That(result.AsSpan(row * D, D).ToArray(), row < Bad ? Is.All.Not.NaN : Is.All.NaN, $"row {row}");
    }

    [Test]
    public void TheSameInputsGiveTheSameBits()
    {
        const int S = 200;
        const int D = 128;
        Tensor q = Input((1, 4, S, D), DType.BF16, out _);
        Tensor k = Input((1, 2, S, D), DType.BF16, out _);
        Tensor v = Input((S, 2 * D), DType.BF16, out _);
        Tensor g = Input((S, 4 * D), DType.BF16, out _);
        float[][] Run()
        {
            Tensor o = Output((S, 4 * D), DType.BF16);
            Tensor lse = Output((1, 4, S));
            Tensor dq = Output((1, 4, S, D), DType.BF16);
            Tensor dk = Output((1, 2, S, D), DType.BF16);
            Tensor dv = Output((S, 2 * D), DType.BF16);
            FlashAttention.Forward(q, k, v, o, lse);
            FlashAttention.Backward(q, k, v, o, lse, g, new(dq, dk, dv));
            return [o.ToArray(), lse.ToArray(), dq.ToArray(), dk.ToArray(), dv.ToArray()];
        }
        Assert.That(Run(), Is.EqualTo(Run()));
    }

    [Test]
    public void EmptyWork()
    {
        Tensor q = Output((0, 4, 3, 8), DType.BF16);
        Tensor k = Output((0, 2, 3, 8), DType.BF16);
        Tensor v = Output((0, 16), DType.BF16);
        Tensor o = Output((0, 32), DType.BF16);
        Tensor lse = Output((0, 4, 3));
        FlashAttention.Forward(q, k, v, o, lse);
        FlashAttention.Backward(q, k, v, o, lse, o, new(q, k, v));
    }

    [Test]
    public void TheRuleAndTheForcedVariant()
    {
        AttentionVariant? before = Attention.Forced(Device);
        try
        {
            Attention.Force(Device, null);
            Assert.That(
                Attention.Choose(Device, DType.BF16, 64),
                Is.EqualTo(Device.Kind == DeviceKind.Cuda ? AttentionVariant.Fused : AttentionVariant.Composed)
            );
            Attention.Force(Device, AttentionVariant.Fused);
            Assert.That(
                new[]
                {
                    Attention.Choose(Device, DType.BF16, 128),
                    Attention.Choose(Device, DType.BF16, 136),
                    Attention.Choose(Device, DType.BF16, 4),
                    Attention.Choose(Device, DType.F32, 64),
                },
                Is.EqualTo(
                    new[]
                    {
                        AttentionVariant.Fused,
                        AttentionVariant.Composed,
                        AttentionVariant.Composed,
                        AttentionVariant.Composed,
                    }
                )
            );
            Assert.That(
                Device.Variants.All.Select(use => use.ToString()),
                Has.Some.StartsWith("attention f32: composed (fused does not apply: ")
            );
            Attention.Force(Device, AttentionVariant.Composed);
            Assert.That(Attention.NameOf(Attention.Choose(Device, DType.BF16, 64)), Is.EqualTo("composed"));
        }
        finally
        {
            Attention.Force(Device, before);
        }
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor q = Output((1, 4, 3, 8), DType.BF16);
        Tensor k = Output((1, 2, 3, 8), DType.BF16);
        Tensor v = Output((3, 16), DType.BF16);
        Tensor o = Output((3, 32), DType.BF16);
        Tensor lse = Output((1, 4, 3));
        Assert.That(
            () => FlashAttention.Forward(Output((1, 4, 3, 8)), k, v, o, lse),
            Throws.ArgumentException.With.Message.Contains("q is F32, expected BF16")
        );
        Assert.That(
            () => FlashAttention.Forward(Output((1, 4, 3, 12), DType.BF16), k, v, o, lse),
            Throws.ArgumentException.With.Message.Contains("a multiple of 8 up to 128")
        );
        Assert.That(
            () => FlashAttention.Forward(q, Output((1, 3, 3, 8), DType.BF16), v, o, lse),
            Throws.ArgumentException.With.Message.Contains("4 query heads with 3 key/value heads")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, o, o, lse),
            Throws.ArgumentException.With.Message.Contains("v is columns 0 to 32 of [3, 32], expected 16 columns")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, v, q, lse),
            Throws.ArgumentException.With.Message.Contains("output is [1, 4, 3, 8], expected [3, any]")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, v, o, Output((1, 4, 4))),
            Throws.ArgumentException.With.Message.Contains("lse is [1, 4, 4], expected [1, 4, 3]")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, v, o, lse, -1),
            Throws.ArgumentException.With.Message.Contains("window is -1")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, v, o, lse, softCap: -1),
            Throws.ArgumentException.With.Message.Contains("softCap is -1, expected 0 (none) or a finite number above")
        );
        Assert.That(
            () => FlashAttention.Forward(q, k, v, o, lse, spans: Output((4, 2), DType.I32)),
            Throws.ArgumentException.With.Message.Contains("spans is [4, 2], expected [3, 2]")
        );
        Assert.That(
            () => FlashAttention.Backward(q, k, v, o, lse, q, new(q, k, v)),
            Throws.ArgumentException.With.Message.Contains("dOutput is [1, 4, 3, 8], expected [3, any]")
        );
        Assert.That(
            () => FlashAttention.Backward(q, k, v, o, lse, o, new(q, k, k)),
            Throws.ArgumentException.With.Message.Contains("dv is [1, 2, 3, 8], expected [3, any]")
        );
        var odd = new ColumnRange(Output((3, 24), DType.BF16), 4, 16);
        Assert.That(
            () => FlashAttention.Forward(q, k, odd, o, lse),
            Throws.ArgumentException.With.Message.Contains(
                "v is columns 4 to 20 of [3, 24], expected rows of whole 16-byte units at a 16-byte address"
            )
        );
    }

    // The formula in double, by loops over rows and keys; *Terms are sums of absolute values.
    private sealed class Expected
    {
        private readonly (int B, int H, int KV, int S, int D) _size;
        private readonly double[] _q;
        private readonly double[] _k;
        private readonly double[] _v;
        private readonly double[] _p;
        private readonly double[] _slopes;

        public Expected(
            (int B, int H, int KV, int S, int D) size,
            double[] q,
            double[] k,
            double[] v,
            int window,
            double softCap,
            int[]? spans = null
        )
        {
            (_size, _q, _k, _v) = (size, q, k, v);
            (int b, int h, _, int s, int d) = size;
            _p = new double[b * h * s * s];
            _slopes = new double[b * h * s * s];
            (Lse, Output, OutputTerms) = (new double[b * h * s], new double[b * h * s * d], new double[b * h * s * d]);
            for (int row = 0; row < b * h * s; row++)
            {
                int query = row % s;
                int first = window == 0 ? 0 : Math.Max(0, query - window + 1);
                first = Math.Max(first, spans?[2 * (row / s / h * s + query)] ?? 0);
                double[] scores = new double[s];
                for (int j = first; j <= query; j++)
                {
                    for (int c = 0; c < d; c++)
                        scores[j] += q[row * d + c] * k[Key(row, j) + c] / Math.Sqrt(d);
                    double t = softCap > 0 ? Math.Tanh(scores[j] / softCap) : 0;
                    _slopes[row * s + j] = 1 - t * t;
                    scores[j] = softCap > 0 ? softCap * t : scores[j];
                }

                double most = scores[first..(query + 1)].Max();
                Lse[row] = most + Math.Log(scores[first..(query + 1)].Sum(x => Math.Exp(x - most)));
                for (int j = first; j <= query; j++)
                {
                    _p[row * s + j] = Math.Exp(scores[j] - Lse[row]);
                    for (int c = 0; c < d; c++)
                    {
                        Output[Out(row) + c] += _p[row * s + j] * v[Value(row, j) + c];
                        OutputTerms[Out(row) + c] += Math.Abs(_p[row * s + j] * v[Value(row, j) + c]);
                    }
                }
            }
        }

        public double[] Lse { get; }
        public double[] Output { get; }
        public double[] OutputTerms { get; }
        public double[] Dq { get; private set; } = [];
        public double[] DqTerms { get; private set; } = [];
        public double[] Dk { get; private set; } = [];
        public double[] DkTerms { get; private set; } = [];
        public double[] Dv { get; private set; } = [];
        public double[] DvTerms { get; private set; } = [];

        public void Differentiate(double[] gradient)
        {
            (int b, int h, _, int s, int d) = _size;
            (Dq, DqTerms, Dk, DkTerms, Dv, DvTerms) = (
                new double[_q.Length],
                new double[_q.Length],
                new double[_k.Length],
                new double[_k.Length],
                new double[_v.Length],
                new double[_v.Length]
            );
            double scale = 1 / Math.Sqrt(d);
            for (int row = 0; row < b * h * s; row++)
            {
                double[] dp = new double[s];
                double[] size = new double[s];
                double dot = 0;
                double dotSize = 0;
                for (int j = 0; j < s; j++)
                {
                    double p = _p[row * s + j];
                    for (int c = 0; c < d; c++)
                    {
                        double g = gradient[Out(row) + c];
                        double value = _v[Value(row, j) + c];
                        dp[j] += g * value;
                        size[j] += Math.Abs(g * value);
                        Dv[Value(row, j) + c] += p * g;
                        DvTerms[Value(row, j) + c] += Math.Abs(p * g);
                    }
                    dot += p * dp[j];
                    dotSize += p * size[j];
                }
                for (int j = 0; j < s; j++)
                {
                    for (int c = 0; c < d; c++)
                    {
                        double ds = scale * _p[row * s + j] * (dp[j] - dot) * _slopes[row * s + j];
                        double dsSize = scale * _p[row * s + j] * (Math.Abs(dp[j]) + dotSize);
                        Dq[row * d + c] += ds * _k[Key(row, j) + c];
                        DqTerms[row * d + c] += dsSize * Math.Abs(_k[Key(row, j) + c]);
                        Dk[Key(row, j) + c] += ds * _q[row * d + c];
                        DkTerms[Key(row, j) + c] += dsSize * Math.Abs(_q[row * d + c]);
                    }
                }
            }
        }

        // Offsets for query row (b, h, i), counted through, and key j.
        private int Group(int row) => row / _size.S % _size.H * _size.KV / _size.H;

        private int Key(int row, int j) =>
            ((row / (_size.H * _size.S) * _size.KV + Group(row)) * _size.S + j) * _size.D;

        private int Value(int row, int j) =>
            ((row / (_size.H * _size.S) * _size.S + j) * _size.KV + Group(row)) * _size.D;

        private int Out(int row) =>
            ((row / (_size.H * _size.S) * _size.S + row % _size.S) * _size.H + row / _size.S % _size.H) * _size.D;
    }
}
