using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RopeTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Positions = 40;

    // batch, length, heads, head dimension, pairs that turn
    private static readonly (int B, int S, int H, int D, int Pairs)[] Cases =
    [
        (1, 1, 1, 2, 1),
        (2, 7, 3, 64, 32),
        (3, 33, 1, 14, 7),
        (1, 9, 5, 128, 64),
        (2, 5, 2, 6, 3),
        (2, 7, 3, 64, 24), // whole vectors, of which some do not turn
        (1, 3, 2, 128, 16),
        (2, 5, 3, 10, 3),
        (1, 4, 2, 9, 4), // a single element does not turn
        (2, 3, 2, 8, 0),
    ];

    [Test]
    public void ForwardRotatesAndSplitsHeads(
        [ValueSource(nameof(Cases))] (int B, int S, int H, int D, int Pairs) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool shifted,
        [Values] bool interleaved,
        [Values] Placed placed
    )
    {
        (int batch, int length, int heads, int headDim, int pairs) = size;
        float rest = shifted ? 0.75f : 1; // a power of two would hide a rounding
        ColumnRange x = InputColumns(batch * length, heads * headDim, type, placed, out double[] xv);
        Tensor y = Output((batch, heads, length, headDim), type);
        (Tensor cosine, Tensor sine, double[] cv, double[] sv) = Tables(pairs);
        int[] offsets = Enumerable.Range(0, batch).Select(b => shifted ? 2 * b + 1 : 0).ToArray();
        Rope.Forward(x, cosine, sine, shifted ? Input(offsets, batch) : null, y, interleaved, rest);

        double[] expected = new double[xv.Length];
        double[] terms = new double[xv.Length];
        Each(
            size,
            (b, s, h, i, merged, split) =>
            {
                double own = rest * xv[merged];
                double partner = 0;
                if (PairOf(i, pairs, interleaved) is { } pair)
                {
                    int table = (offsets[b] + s) * pairs + pair.Number;
                    own = xv[merged] * cv[table];
                    partner = (pair.IsFirst ? -1 : 1) * xv[merged + pair.Partner - i] * sv[table];
                }
                expected[split] = own + partner;
                terms[split] = Math.Abs(own) + Math.Abs(partner);
            }
        );
        Verify(y, expected, terms, 2);
    }

    [Test]
    public void BackwardIsTheAdjoint(
        [ValueSource(nameof(Cases))] (int B, int S, int H, int D, int Pairs) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool interleaved,
        [Values] Placed placed
    )
    {
        (int batch, int length, int heads, int headDim, int pairs) = size;
        const float rest = 1.25f;
        Tensor dy = Input((batch, heads, length, headDim), type, out double[] dyv);
        ColumnRange dx = OutputColumns(batch * length, heads * headDim, type, placed);
        (Tensor cosine, Tensor sine, double[] cv, double[] sv) = Tables(pairs);
        Rope.Backward(dy, cosine, sine, dx, interleaved, rest);

        double[] expected = new double[dyv.Length];
        double[] terms = new double[dyv.Length];
        Each(
            size,
            (b, s, h, i, merged, split) =>
            {
                double own = rest * dyv[split];
                double partner = 0;
                if (PairOf(i, pairs, interleaved) is { } pair)
                {
                    int table = s * pairs + pair.Number;
                    own = dyv[split] * cv[table];
                    partner = (pair.IsFirst ? 1 : -1) * dyv[split + pair.Partner - i] * sv[table];
                }
                expected[merged] = own + partner;
                terms[merged] = Math.Abs(own) + Math.Abs(partner);
            }
        );
        Verify(dx, expected, terms, 2);
    }

    [Test]
    public void PositionsStartAgainWithEachRecord(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool interleaved
    )
    {
        const int Batch = 2;
        const int Length = 23;
        int[] spans = JoinedRecords.Spans(Batch, Length, Rng);
        (Tensor cosine, Tensor sine, double[] cv, double[] sv) = Tables(4);
        // One head of 8, so that both layouts are the same.
        Tensor x = Input((Batch * Length, 8), type, out double[] xv);
        Tensor y = Output((Batch, 1, Length, 8), type);
        Tensor back = Output((Batch * Length, 8), type);
        Tensor given = Input(spans, (Batch * Length, 2));
        Rope.Forward(x, cosine, sine, null, y, interleaved, spans: given);
        Rope.Backward(Input(x.ToArray(), y.Shape, type, out _), cosine, sine, back, interleaved, spans: given);
        foreach ((Tensor turned, int direction) in new[] { (y, 1), (back, -1) })
        {
            double[] expected = new double[xv.Length];
            double[] terms = new double[xv.Length];
            for (int at = 0; at < xv.Length; at++)
            {
                (int row, int i) = (at / 8, at % 8);
                (int number, int partner, bool isFirst) = PairOf(i, 4, interleaved)!.Value;
                int table = (row % Length - spans[2 * row]) * 4 + number;
                (double own, double other) = (xv[at] * cv[table], xv[at + partner - i] * sv[table]);
                expected[at] = own + direction * (isFirst ? -other : other);
                terms[at] = Math.Abs(own) + Math.Abs(other);
            }
            Verify(turned, expected, terms, 2);
        }
    }

    [Test]
    public void PositionsBeyondTheTablesGiveNaN(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(4, 3)] int pairs,
        [Values] bool interleaved
    )
    {
        Tensor x = Input((3, 8), type, out _);
        Tensor y = Output((1, 1, 3, 8), type);
        (Tensor cosine, Tensor sine, _, _) = Tables(pairs);
        Rope.Forward(x, cosine, sine, Input([Positions - 2], 1), y, interleaved);
        Assert.That(y.ToArray().Select(float.IsNaN), Is.EqualTo(Enumerable.Range(0, 24).Select(i => i >= 16)));
    }

    [Test]
    public void EmptyWork()
    {
        (Tensor cosine, Tensor sine, _, _) = Tables(4);
        Rope.Forward(Output((0, 8)), cosine, sine, null, Output((1, 1, 0, 8)));
        Rope.Backward(Output((0, 1, 3, 8)), cosine, sine, Output((0, 8)));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        (Tensor cosine, Tensor sine, _, _) = Tables(4);
        Tensor x = Output((6, 16));
        Tensor y = Output((2, 2, 3, 8));
        Assert.That(
            () => Rope.Forward(x, cosine, sine, null, Output((2, 2, 4, 8))),
            Throws.ArgumentException.With.Message.Contains("x is [6, 16], expected [8, any]")
        );
        Assert.That(
            () => Rope.Forward(x, Output((5, 5)), sine, null, y),
            Throws.ArgumentException.With.Message.Contains("cosine is [5, 5], expected [any, 4 at most]")
        );
        Assert.That(
            () => Rope.Forward(x, Output((5, 3)), sine, null, y),
            Throws.ArgumentException.With.Message.Contains("sine is [40, 4], expected [5, 3]")
        );
        Assert.That(
            () => Rope.Forward(x, cosine, sine, Output(3, DType.I32), y),
            Throws.ArgumentException.With.Message.Contains("offsets is [3], expected [2]")
        );
        Assert.That(
            () => Rope.Backward(Output((2, 2, 3, 7)), cosine, sine, Output((6, 14))),
            Throws.ArgumentException.With.Message.Contains("head dimension is 7")
        );
        Assert.That(
            () => Rope.Backward(y, cosine, sine, Output((6, 16), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("is BF16, expected F32")
        );
    }

    /// <summary>
    /// The number and the partner of the pair of which an element of a head is one; null: it does not turn.
    /// </summary>
    private static (int Number, int Partner, bool IsFirst)? PairOf(int i, int pairs, bool interleaved)
    {
        if (i >= 2 * pairs)
            return null;
        return interleaved
            ? (i / 2, i % 2 == 0 ? i + 1 : i - 1, i % 2 == 0)
            : (i % pairs, i < pairs ? i + pairs : i - pairs, i < pairs);
    }

    private (Tensor Cosine, Tensor Sine, double[] CosineValues, double[] SineValues) Tables(int half)
    {
        float[] angles = Enumerable
            .Range(0, Positions * half)
            .Select(i => (float)(i / half * Math.Pow(10000, -(i % half) / (double)half)))
            .ToArray();
        Tensor cosine = Input(Array.ConvertAll(angles, MathF.Cos), (Positions, half), DType.F32, out double[] cv);
        Tensor sine = Input(Array.ConvertAll(angles, MathF.Sin), (Positions, half), DType.F32, out double[] sv);
        return (cosine, sine, cv, sv);
    }

    private static void Each((int B, int S, int H, int D, int Pairs) size, Action<int, int, int, int, int, int> visit)
    {
        for (int b = 0; b < size.B; b++)
        {
            for (int s = 0; s < size.S; s++)
            {
                for (int h = 0; h < size.H; h++)
                {
                    for (int i = 0; i < size.D; i++)
                    {
                        visit(
                            b,
                            s,
                            h,
                            i,
                            ((b * size.S + s) * size.H + h) * size.D + i,
                            ((b * size.H + h) * size.S + s) * size.D + i
                        );
                    }
                }
            }
        }
    }
}
