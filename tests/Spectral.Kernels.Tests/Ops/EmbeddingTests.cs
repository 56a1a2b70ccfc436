using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class EmbeddingTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Vocabulary = 23;

    [Test]
    public void ForwardLooksRowsUp([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor table = Input((Vocabulary, 33), type, out double[] values);
        Tensor y = Output((5, 33), type);
        int[] ids = [22, 0, 7, 7, 1];
        Embedding.Forward(table, Input(ids, 5), y);
        Verify(y, ids.SelectMany(id => values.Skip(id * 33).Take(33)).ToArray());
    }

    [Test]
    public void BackwardAddsUpEqualIds(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 7, 300)] int positions,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool accumulate
    )
    {
        int[] ids = Enumerable.Range(0, positions).Select(_ => Rng.Next(Vocabulary)).ToArray();
        (int[] order, int[] segments, int[] unique) = Sorted(ids);
        Tensor dy = Input((positions, columns), type, out double[] dyValues);
        Tensor dTable = Input((Vocabulary, columns), DType.F32, out double[] before);
        // Behind what is passed on lies one more id, with no positions: a warp past the end that took it would
        // overwrite its row.
        Tensor starts = Keep(Input([.. segments, positions], segments.Length + 1).Rows(0, segments.Length));
        Tensor distinct = Keep(Input([.. unique, unique[0]], unique.Length + 1).Rows(0, unique.Length));
        Embedding.Backward(dy, Input(order, positions), starts, distinct, dTable, accumulate);

        double[] expected = accumulate ? (double[])before.Clone() : new double[before.Length];
        double[] terms = expected.Select(Math.Abs).ToArray();
        for (int i = 0; i < positions; i++)
        {
            for (int c = 0; c < columns; c++)
            {
                expected[ids[i] * columns + c] += dyValues[i * columns + c];
                terms[ids[i] * columns + c] += Math.Abs(dyValues[i * columns + c]);
            }
        }

        Verify(dTable, expected, terms, positions);
    }

    [Test]
    public void IdsOutsideTheTableAreLeftOut()
    {
        Tensor dy = Input((3, 4), DType.F32, out double[] values);
        Tensor dTable = Output((2, 4));
        Embedding.Backward(
            dy,
            Input([0, 1, 2], 3),
            Input([0, 1, 2, 3], 4),
            Input([-1, 1, 2], 3),
            dTable,
            accumulate: false
        );
        Verify(dTable, [0, 0, 0, 0, .. values[4..8]]);
    }

    [Test]
    public void EmptyWork()
    {
        Tensor dTable = Output((2, 4));
        Embedding.Backward(
            Output((0, 4)),
            Output(0, DType.I32),
            Input([0], 1),
            Output(0, DType.I32),
            dTable,
            accumulate: false
        );
        Assert.That(dTable.ToArray(), Is.All.Zero);
        Embedding.Forward(dTable, Output(0, DType.I32), Output((0, 4)));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor dy = Output((3, 4));
        Tensor order = Output(3, DType.I32);
        Tensor segments = Output(3, DType.I32);
        Tensor ids = Output(2, DType.I32);
        Tensor dTable = Output((9, 4));
        Assert.That(
            () => Embedding.Backward(dy, order, ids, ids, dTable, false),
            Throws.ArgumentException.With.Message.Contains("segments is [2], expected [3]")
        );
        Assert.That(
            () => Embedding.Backward(dy, ids, segments, ids, dTable, false),
            Throws.ArgumentException.With.Message.Contains("order is [2], expected [3]")
        );
        Assert.That(
            () => Embedding.Backward(dy, order, segments, ids, Output((9, 4), DType.BF16), false),
            Throws.ArgumentException.With.Message.Contains("dTable is BF16, expected F32")
        );
        Assert.That(
            () => Embedding.Forward(dTable, order, Output((3, 5))),
            Throws.ArgumentException.With.Message.Contains("y is [3, 5], expected [3, 4]")
        );
    }

    private static (int[] Order, int[] Segments, int[] Ids) Sorted(int[] ids)
    {
        int[] order = Enumerable.Range(0, ids.Length).OrderBy(i => ids[i]).ToArray(); // OrderBy is stable
        int[] unique = ids.Distinct().Order().ToArray();
        int[] segments = unique.Select(id => Array.FindIndex(order, i => ids[i] == id)).Append(ids.Length).ToArray();
        return (order, segments, unique);
    }
}
