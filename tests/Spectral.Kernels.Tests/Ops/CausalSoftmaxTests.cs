using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CausalSoftmaxTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Factor = 0.37f;

    private static readonly int[] Lengths = [1, 7, 8, 32, 33, 80, 127, 192, 300];

    // None, one that bends most scores, one that hardly bends any.
    private static readonly float[] SoftCaps = [0, 1.3f, 50];

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(Lengths))] int length,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 1, 5, 1000)] int window,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        const int Matrices = 3;
        Tensor scores = Input((1, Matrices, length, length), type, out double[] values, deviation: 4);
        CausalSoftmax.Forward(scores, Factor, window, softCap);
        double[] expected = Softmax(values, length, window, softCap: softCap);
        // an error of ε|s| in the exponent is one of ε|s| in the result: the terms are p (1 + |scale s|), |scale s|
        // below 10 here
        Verify(scores, expected, expected.Select(p => 10 * p).ToArray(), length);
        AssertUnseenAreZero(scores, length, window);
    }

    [Test]
    public void RecordsOfARowAreApart(
        [ValueSource(nameof(Lengths))] int length,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 5)] int window
    )
    {
        const int Batch = 2;
        const int Heads = 3;
        int[] spans = JoinedRecords.Spans(Batch, length, Rng);
        Tensor given = Input(spans, (Batch * length, 2));
        Shape shape = (Batch, Heads, length, length);
        Tensor scores = Input(shape, type, out double[] values, deviation: 4);
        Tensor gradient = Input(shape, type, out double[] gv);
        // What a query does not see has a score of minus infinity, and no gradient.
        double[] masked = values
            .Select((s, i) => i % length < First(i / length) ? double.NegativeInfinity : s)
            .ToArray();
        double[] expected = Softmax(masked, length, window);
        CausalSoftmax.Forward(scores, Factor, window, spans: given);
        Verify(scores, expected, expected.Select(p => 10 * p).ToArray(), length);

        Tensor probabilities = Input(Array.ConvertAll(expected, p => (float)p), shape, type, out double[] pv);
        CausalSoftmax.Backward(probabilities, gradient, Factor, window, spans: given);
        double[] dots = pv.Zip(gv, (p, g) => p * g).Chunk(length).Select(row => row.Sum()).ToArray();
        double[] sizes = pv.Zip(gv, (p, g) => Math.Abs(p * g)).Chunk(length).Select(row => row.Sum()).ToArray();
        Verify(
            gradient,
            pv.Select((p, i) => Factor * p * (gv[i] - dots[i / length])).ToArray(),
            pv.Select((p, i) => Factor * p * (Math.Abs(gv[i]) + sizes[i / length])).ToArray(),
            length
        );

        int First(int row) => spans[2 * (row / length / Heads * length + row % length)];
    }

    /// <summary>As in an encoder: each query sees all keys of its record, also those after it.</summary>
    [Test]
    public void QueriesThatSeeAheadSeeTheirWholeRecord(
        [ValueSource(nameof(Lengths))] int length,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool apart,
        [Values(0, 1.3f)] float softCap
    )
    {
        const int Batch = 2;
        const int Heads = 3;
        int[] spans = apart ? JoinedRecords.Spans(Batch, length, Rng) : [];
        Tensor? given = apart ? Input(spans, (Batch * length, 2)) : null;
        Shape shape = (Batch, Heads, length, length);
        Tensor scores = Input(shape, type, out double[] values, deviation: 4);
        Tensor kept = Input(values.Select(value => (float)value).ToArray(), shape, type, out _);
        Tensor gradient = Input(shape, type, out double[] gv);
        double[] scaled = values.Select(s => Capped(Factor * s)).ToArray();
        double[] exponentials = scaled.Select((s, i) => Sees(i) ? Math.Exp(s) : 0).ToArray();
        double[] sums = exponentials.Chunk(length).Select(row => row.Sum()).ToArray();
        double[] expected = exponentials.Select((e, i) => e / sums[i / length]).ToArray();
        CausalSoftmax.Forward(scores, Factor, 0, softCap, given, seesAhead: true);
        Verify(scores, expected, expected.Select(p => 10 * p).ToArray(), length);

        Tensor probabilities = Input(Array.ConvertAll(expected, p => (float)p), shape, type, out double[] pv);
        Tensor? before = softCap > 0 ? kept : null;
        CausalSoftmax.Backward(probabilities, gradient, Factor, 0, softCap, before, given, seesAhead: true);
        double[] products = pv.Zip(gv, (p, g) => p * g).ToArray();
        double[] dots = products.Chunk(length).Select(row => row.Sum()).ToArray();
        double[] sizes = products.Chunk(length).Select(row => row.Sum(Math.Abs)).ToArray();
        double[] slopes = scaled.Select(s => softCap > 0 ? Factor * (1 - Math.Pow(s / softCap, 2)) : Factor).ToArray();
        Verify(
            gradient,
            pv.Select((p, i) => slopes[i] * p * (gv[i] - dots[i / length])).ToArray(),
            pv.Select((p, i) => Factor * p * (Math.Abs(gv[i]) + sizes[i / length])).ToArray(),
            length
        );

        double Capped(double score) => softCap > 0 ? softCap * Math.Tanh(score / softCap) : score;

        bool Sees(int i)
        {
            int position = i / length / length / Heads * length + i / length % length;
            return !apart || (i % length >= spans[2 * position] && i % length < spans[2 * position + 1]);
        }
    }

    [Test]
    public void AWindowDoesNotLookAhead() =>
        Assert.That(
            () => CausalSoftmax.Forward(Output((1, 1, 4, 4)), 1, window: 2, seesAhead: true),
            Throws.ArgumentException.With.Message.Contains("window is 2, expected 0")
        );

    [Test]
    public void LargeScoresDoNotOverflow([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor scores = Input((1, 1, 40, 40), type, out double[] values, deviation: 1e4);
        CausalSoftmax.Forward(scores, 1);
        double[] expected = Softmax(values, 40, 0, 1);
        // one F32 rounding of a difference of 1e4 is an error of 1e-3 in the exponent: only sums and order of magnitude
        // are fixed
        float[] actual = scores.ToArray();
        for (int i = 0; i < 40; i++)
            Assert.That(actual.Skip(i * 40).Take(i + 1).Sum(), Is.EqualTo(1).Within(0.01));
        Verify(scores, expected, expected.Select(p => p * 5e4).ToArray());
    }

    [Test]
    public void NothingAboveTheDiagonalIsRead(
        [ValueSource(nameof(FloatTypes))] DType type,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        const int Length = 37;
        float[] host = Enumerable
            .Range(0, Length * Length)
            .Select(i => i % Length > i / Length ? float.NaN : 0.25f * (i % 5))
            .ToArray();
        Tensor scores = Input(host, (1, 1, Length, Length), type, out double[] values);
        CausalSoftmax.Forward(scores, Factor, softCap: softCap);
        double[] expected = Softmax(values, Length, 0, softCap: softCap);
        Verify(scores, expected, expected.Select(p => 2 * p).ToArray(), Length);
        Tensor gradient = Input(host, (1, 1, Length, Length), type, out _);
        Tensor given = Input(host, (1, 1, Length, Length), type, out _);
        CausalSoftmax.Backward(scores, gradient, Factor, softCap: softCap, scores: given);
        Assert.That(gradient.ToArray(), Has.None.NaN);
    }

    [Test]
    public void ANaNMakesItsRowNaN([Values(0, 3, 20)] int column, [ValueSource(nameof(SoftCaps))] float softCap)
    {
        const int Length = 24;
        const int Row = 20;
        Tensor scores = Input(
            Enumerable.Range(0, Length * Length).Select(i => i == Row * Length + column ? float.NaN : 1f).ToArray(),
            (1, 1, Length, Length),
            DType.F32,
            out _
        );
        CausalSoftmax.Forward(scores, 1, softCap: softCap);
        float[] result = scores.ToArray();
        Assert.That(result[(Row * Length)..(Row * Length + Row + 1)], Is.All.NaN);
        Assert.That(result[..(Row * Length)], Has.None.NaN);
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Lengths))] int length,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 1, 5)] int window,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        const int Matrices = 2;
        Tensor scores = Input((1, Matrices, length, length), type, out double[] sv, deviation: 4);
        double[] exact = Softmax(sv, length, window, softCap: softCap);
        Tensor probabilities = Input(
            Array.ConvertAll(exact, p => (float)p),
            (1, Matrices, length, length),
            type,
            out double[] pv
        );
        Tensor gradient = Input((1, Matrices, length, length), type, out double[] gv);
        CausalSoftmax.Backward(probabilities, gradient, Factor, window, softCap, softCap > 0 ? scores : null);
        double[] expected = new double[pv.Length];
        double[] terms = new double[pv.Length];
        for (int row = 0; row < Matrices * length; row++)
        {
            double dot = 0;
            double size = 0;
            foreach (int j in Seen(row % length, window))
            {
                dot += pv[row * length + j] * gv[row * length + j];
                size += Math.Abs(pv[row * length + j] * gv[row * length + j]);
            }
            foreach (int j in Seen(row % length, window))
            {
                double t = softCap > 0 ? Math.Tanh(Factor * sv[row * length + j] / softCap) : 0;
                double slope = Factor * (1 - t * t);
                expected[row * length + j] = slope * pv[row * length + j] * (gv[row * length + j] - dot);
                terms[row * length + j] = Factor * pv[row * length + j] * (Math.Abs(gv[row * length + j]) + size);
            }
        }
        Verify(gradient, expected, terms, length);
        AssertUnseenAreZero(gradient, length, window);
    }

    [Test]
    public void BackwardIsTheGradientOfForward(
        [Values(1, 7, 33)] int length,
        [ValueSource(nameof(SoftCaps))] float softCap
    )
    {
        Tensor scores = Input((1, 1, length, length), DType.F32, out double[] sv, deviation: 2);
        Tensor given = Input(scores.ToArray(), scores.Shape, DType.F32, out _);
        Tensor gradient = Input((1, 1, length, length), DType.F32, out double[] gv);
        CausalSoftmax.Forward(scores, Factor, softCap: softCap);
        CausalSoftmax.Backward(scores, gradient, Factor, softCap: softCap, scores: given);
        double[] direction = sv.Select(_ => Rng.NextDouble() - 0.5).ToArray();
        double Value(double h) =>
            Softmax(sv.Select((s, i) => s + h * direction[i]).ToArray(), length, 0, softCap: softCap)
                .Zip(gv, (p, g) => p * g)
                .Sum();
        double numeric = (Value(1e-5) - Value(-1e-5)) / 2e-5;
        double[] terms = gradient.ToArray().Select((g, i) => g * direction[i]).ToArray();
        // 1e-5: F32 rounding of a few thousand gradient elements and the truncation of the differences
        Assert.That(terms.Sum(), Is.EqualTo(numeric).Within(1e-5 * (1e-3 + terms.Sum(Math.Abs))));
    }

    [Test]
    public void EmptyWork() => CausalSoftmax.Forward(Output((0, 2, 3, 3)), 1);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor scores = Output((1, 1, 4, 4));
        Assert.That(
            () => CausalSoftmax.Forward(Output((1, 1, 4, 5)), 1),
            Throws.ArgumentException.With.Message.Contains("scores is [1, 1, 4, 5]")
        );
        Assert.That(
            () => CausalSoftmax.Forward(Output((4, 4)), 1),
            Throws.ArgumentException.With.Message.Contains("scores is [4, 4]")
        );
        Assert.That(
            () => CausalSoftmax.Forward(scores, 0),
            Throws.ArgumentException.With.Message.Contains("scale is 0")
        );
        Assert.That(
            () => CausalSoftmax.Forward(scores, 1, spans: Output((5, 2), DType.I32)),
            Throws.ArgumentException.With.Message.Contains("spans is [5, 2], expected [4, 2]")
        );
        Assert.That(
            () => CausalSoftmax.Forward(scores, 1, -1),
            Throws.ArgumentException.With.Message.Contains("window is -1")
        );
        Assert.That(
            () => CausalSoftmax.Backward(scores, Output((1, 1, 4, 4), DType.BF16), 1),
            Throws.ArgumentException.With.Message.Contains("gradient is BF16, expected F32")
        );
        Assert.That(
            () => CausalSoftmax.Forward(scores, 1, softCap: -1),
            Throws.ArgumentException.With.Message.Contains("softCap is -1, expected 0 (none) or a finite number above")
        );
        Assert.That(
            () => CausalSoftmax.Backward(scores, scores, 1, softCap: 2),
            Throws.ArgumentException.With.Message.Contains("scores is null, expected the scores")
        );
        Assert.That(
            () => CausalSoftmax.Backward(scores, scores, 1, softCap: 2, scores: Output((1, 1, 5, 5))),
            Throws.ArgumentException.With.Message.Contains("scores is [1, 1, 5, 5], expected [1, 1, 4, 4]")
        );
    }

    private static IEnumerable<int> Seen(int query, int window) =>
        Enumerable.Range(0, query + 1).Where(j => window == 0 || query - j < window);

    private static double[] Softmax(double[] scores, int length, int window, double scale = Factor, double softCap = 0)
    {
        if (softCap > 0)
            scores = Array.ConvertAll(scores, s => softCap * Math.Tanh(scale * s / softCap) / scale);
        double[] result = new double[scores.Length];
        for (int row = 0; row < scores.Length / length; row++)
        {
            int[] seen = Seen(row % length, window).ToArray();
            double max = seen.Max(j => scale * scores[row * length + j]);
            double sum = seen.Sum(j => Math.Exp(scale * scores[row * length + j] - max));
            foreach (int j in seen)
                result[row * length + j] = Math.Exp(scale * scores[row * length + j] - max) / sum;
        }
        return result;
    }

    private static void AssertUnseenAreZero(Tensor tensor, int length, int window)
    {
        float[] values = tensor.ToArray();
        for (int i = 0; i < values.Length; i++)
        {
            if (!(i % length <= i / length % length && (window == 0 || i / length % length - i % length < window)))
                Assert.That(values[i], Is.Zero, $"element {i}, unseen");
        }
    }
}
