using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AttentionTests(DeviceKind kind) : DeviceTest(kind)
{
    // In BF16 scores, probabilities and their gradients are rounded between the products: errors of 2^-9 per term, not
    // of 2^-24.
    private static double Intermediates(DType type) => type == DType.BF16 ? 1 << 15 : 4;

    // None, and one that bends most scores.
    private static readonly float[] SoftCaps = [0, 0.7f];

    // batch, heads, key/value heads, length, head dimension
    private static readonly (int B, int H, int KV, int S, int D)[] Cases =
    [
        (1, 1, 1, 1, 4),
        (2, 4, 2, 7, 8),
        (1, 6, 2, 33, 16),
        (2, 3, 3, 65, 7),
        (1, 2, 1, 130, 64),
    ];

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 5)] int window,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        (int b, int h, int kv, int s, int d) = size;
        Tensor q = Input((b, h, s, d), type, out double[] qv);
        Tensor k = Input((b, kv, s, d), type, out double[] kvs);
        Tensor v = Input((b, kv, s, d), type, out double[] vv);
        Tensor probabilities = Output((b, h, s, s), type);
        Tensor output = Output((b, h, s, d), type);
        Attention.Forward(q, k, v, probabilities, output, window, softCap);
        (double[] p, double[] o, _) = Reference(size, qv, kvs, vv, window, softCap);
        Verify(probabilities, p, p.Select(x => 2 * x).ToArray(), d + s, "probabilities", Intermediates(type));
        Verify(output, o, Magnitude(size, p, vv), d + s, "output", Intermediates(type));
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Cases))] (int B, int H, int KV, int S, int D) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 5)] int window,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        (int b, int h, int kv, int s, int d) = size;
        Tensor q = Input((b, h, s, d), type, out double[] qv);
        Tensor k = Input((b, kv, s, d), type, out double[] kvs);
        Tensor v = Input((b, kv, s, d), type, out double[] vv);
        Tensor dOutput = Input((b, h, s, d), type, out double[] dov);
        (double[] exact, _, double[] slopes) = Reference(size, qv, kvs, vv, window, softCap);
        Tensor probabilities = Input(Array.ConvertAll(exact, x => (float)x), (b, h, s, s), type, out double[] p);
        Tensor dq = Output((b, h, s, d), type);
        Tensor dk = Output((b, kv, s, d), type);
        Tensor dv = Output((b, kv, s, d), type);
        Attention.Backward(q, k, v, probabilities, dOutput, dq, dk, dv, window, softCap);

        double[][] expected = [new double[qv.Length], new double[kvs.Length], new double[vv.Length]];
        double[][] terms = [new double[qv.Length], new double[kvs.Length], new double[vv.Length]];
        double scale = 1 / Math.Sqrt(d);
        for (int row = 0; row < b * h * s; row++)
        {
            int group = Group(size, row);
            double[] dp = new double[s];
            double dot = 0;
            double size1 = 0;
            for (int j = 0; j < s; j++)
            {
                double product = 0;
                double magnitude = 0;
                for (int c = 0; c < d; c++)
                {
                    double gradient = dov[row * d + c];
                    double weight = p[row * s + j];
                    product += gradient * vv[(group * s + j) * d + c];
                    magnitude += Math.Abs(gradient * vv[(group * s + j) * d + c]);
                    expected[2][(group * s + j) * d + c] += weight * gradient;
                    terms[2][(group * s + j) * d + c] += Math.Abs(weight * gradient);
                }
                dp[j] = product;
                dot += p[row * s + j] * product;
                size1 += p[row * s + j] * magnitude;
            }
            for (int j = 0; j < s; j++)
            {
                for (int c = 0; c < d; c++)
                {
                    double ds = scale * p[row * s + j] * (dp[j] - dot) * slopes[row * s + j];
                    double dsSize = scale * p[row * s + j] * (Math.Abs(dp[j]) + size1);
                    expected[0][row * d + c] += ds * kvs[(group * s + j) * d + c];
                    terms[0][row * d + c] += dsSize * Math.Abs(kvs[(group * s + j) * d + c]);
                    expected[1][(group * s + j) * d + c] += ds * qv[row * d + c];
                    terms[1][(group * s + j) * d + c] += dsSize * Math.Abs(qv[row * d + c]);
                }
            }
        }
        Verify(dq, expected[0], terms[0], s + d, "dq", Intermediates(type));
        Verify(dk, expected[1], terms[1], s + d, "dk", Intermediates(type));
        Verify(dv, expected[2], terms[2], s + d, "dv", Intermediates(type));
    }

    [Test]
    public void DecodeAttendsToTheCache(
        [Values(1, 7, 64, 130, 512)] int headDim,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 5, 200)] int window,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        const int B = 4;
        const int H = 4;
        const int KV = 2;
        const int P = 300;
        Tensor q = Input((B, H, headDim), type, out double[] qv);
        Tensor keys = Input((B, KV, P, headDim), type, out double[] kv);
        Tensor values = Input((B, KV, P, headDim), type, out double[] vv);
        int[] lengths = [1, 129, 0, P + 7];
        Tensor output = Output((B, H, headDim), type);
        Attention.Decode(q, keys, values, Input(lengths, B), output, window, softCap);

        double[] expected = new double[qv.Length];
        double[] terms = new double[qv.Length];
        for (int row = 0; row < B * H; row++)
        {
            int n = Math.Min(P, lengths[row / H]);
            int first = window > 0 ? Math.Max(0, n - window) : 0;
            int group = row / H * KV + row % H * KV / H;
            if (n == 0)
                continue;
            double[] s = Enumerable
                .Range(first, n - first)
                .Select(j =>
                    Enumerable.Range(0, headDim).Sum(c => qv[row * headDim + c] * kv[(group * P + j) * headDim + c])
                    / Math.Sqrt(headDim)
                )
                .Select(score => softCap > 0 ? softCap * Math.Tanh(score / softCap) : score)
                .ToArray();
            double max = s.Max();
            double sum = s.Sum(x => Math.Exp(x - max));
            for (int j = first; j < n; j++)
            {
                for (int c = 0; c < headDim; c++)
                {
                    double term = Math.Exp(s[j - first] - max) / sum * vv[(group * P + j) * headDim + c];
                    expected[row * headDim + c] += term;
                    terms[row * headDim + c] += Math.Abs(term);
                }
            }
        }
        Verify(output, expected, terms, headDim + P);
    }

    [Test]
    public void AppendWritesNewRowsOnly([Values(1, 7, 64)] int headDim, [ValueSource(nameof(FloatTypes))] DType type)
    {
        const int B = 3;
        const int KV = 2;
        const int S = 4;
        const int P = 9;
        Tensor source = Input((B, KV, S, headDim), type, out double[] sv);
        Tensor cache = Input((B, KV, P, headDim), type, out double[] cv);
        int[] offsets = [0, 5, 7]; // the last one runs over the end
        Attention.Append(source, cache, Input(offsets, B));
        double[] expected = (double[])cv.Clone();
        for (int group = 0; group < B * KV; group++)
        {
            for (int s = 0; s < S; s++)
            {
                if (offsets[group / KV] + s < P)
                {
                    Array.Copy(
                        sv,
                        (group * S + s) * headDim,
                        expected,
                        (group * P + offsets[group / KV] + s) * headDim,
                        headDim
                    );
                }
            }
        }

        Assert.That(Array.ConvertAll(cache.ToArray(), x => (double)x), Is.EqualTo(expected));
    }

    [Test]
    public void EmptyWork()
    {
        Tensor none = Output((0, 4, 3, 8));
        Tensor noKeys = Output((0, 2, 3, 8));
        Tensor scores = Output((0, 4, 3, 3));
        Attention.Forward(none, noKeys, noKeys, scores, none);
        Attention.Backward(none, noKeys, noKeys, scores, none, none, noKeys, noKeys);
        Attention.Append(noKeys, noKeys, Output(0, DType.I32));
        Attention.Decode(Output((0, 4, 8)), noKeys, noKeys, Output(0, DType.I32), Output((0, 4, 8)));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor q = Output((1, 4, 3, 8));
        Tensor k = Output((1, 2, 3, 8));
        Tensor p = Output((1, 4, 3, 3));
        Tensor lengths = Output(1, DType.I32);
        Assert.That(
            () => Attention.Forward(q, Output((1, 3, 3, 8)), k, p, q),
            Throws.ArgumentException.With.Message.Contains("4 query heads with 3 key/value heads")
        );
        Assert.That(
            () => Attention.Forward(q, k, Output((1, 2, 4, 8)), p, q),
            Throws.ArgumentException.With.Message.Contains("v is [1, 2, 4, 8], expected [1, 2, 3, 8]")
        );
        Assert.That(
            () => Attention.Forward(q, k, k, Output((1, 4, 3, 4)), q),
            Throws.ArgumentException.With.Message.Contains("probabilities is [1, 4, 3, 4], expected [1, 4, 3, 3]")
        );
        Assert.That(
            () => Attention.Backward(q, k, k, p, q, k, k, k),
            Throws.ArgumentException.With.Message.Contains("dq is [1, 2, 3, 8], expected [1, 4, 3, 8]")
        );
        Assert.That(
            () => Attention.Decode(Output((1, 4, 513)), Output((1, 2, 3, 513)), k, lengths, q),
            Throws.ArgumentException.With.Message.Contains("512 or less")
        );
        Assert.That(
            () => Attention.Decode(Output((1, 4, 8)), k, k, Output(1), Output((1, 4, 8))),
            Throws.ArgumentException.With.Message.Contains("lengths is F32, expected I32")
        );
        Assert.That(
            () => Attention.Decode(Output((1, 4, 8)), k, k, lengths, Output((1, 4, 8)), softCap: float.NaN),
            Throws.ArgumentException.With.Message.Contains("softCap is NaN, expected 0 (none) or a finite number above")
        );
        Assert.That(
            () => Attention.Append(k, Output((1, 2, 9, 7)), lengths),
            Throws.ArgumentException.With.Message.Contains("cache is [1, 2, 9, 7], expected [1, 2, any, 8]")
        );
    }

    // The key/value head, counted over the batch, of a query row (b, h, s).
    private static int Group((int B, int H, int KV, int S, int D) size, int row) =>
        row / (size.H * size.S) * size.KV + row / size.S % size.H * size.KV / size.H;

    // Slopes: what the soft cap multiplies a small change of a score by.
    private static (double[] Probabilities, double[] Output, double[] Slopes) Reference(
        (int B, int H, int KV, int S, int D) size,
        double[] q,
        double[] k,
        double[] v,
        int window,
        double softCap
    )
    {
        (int b, int h, _, int s, int d) = size;
        double[] p = new double[b * h * s * s];
        double[] o = new double[b * h * s * d];
        double[] slopes = new double[b * h * s * s];
        for (int row = 0; row < b * h * s; row++)
        {
            int group = Group(size, row);
            int query = row % s;
            int first = window == 0 ? 0 : Math.Max(0, query - window + 1);
            double sum = 0;
            for (int j = first; j <= query; j++)
            {
                double score = 0;
                for (int c = 0; c < d; c++)
                    score += q[row * d + c] * k[(group * s + j) * d + c];
                score /= Math.Sqrt(d);
                double t = softCap > 0 ? Math.Tanh(score / softCap) : 0;
                slopes[row * s + j] = 1 - t * t;
                sum += p[row * s + j] = Math.Exp(softCap > 0 ? softCap * t : score);
            }
            for (int j = first; j <= query; j++)
            {
                p[row * s + j] /= sum;
                for (int c = 0; c < d; c++)
                    o[row * d + c] += p[row * s + j] * v[(group * s + j) * d + c];
            }
        }
        return (p, o, slopes);
    }

    private static double[] Magnitude((int B, int H, int KV, int S, int D) size, double[] p, double[] v) =>
        Enumerable
            .Range(0, size.B * size.H * size.S * size.D)
            .Select(i =>
                Enumerable
                    .Range(0, size.S)
                    .Sum(j =>
                        p[i / size.D * size.S + j]
                        * Math.Abs(v[(Group(size, i / size.D) * size.S + j) * size.D + i % size.D])
                    )
            )
            .ToArray();
}
