using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class HeadsTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int B, int S, int H, int D)[] Cases =
    [
        (1, 1, 1, 1),
        (2, 7, 3, 64),
        (3, 33, 1, 7),
        (1, 9, 5, 128),
    ];

    [Test]
    public void SplitMovesEveryElementAndMergeMovesItBack(
        [ValueSource(nameof(Cases))] (int B, int S, int H, int D) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] Placed placed
    )
    {
        (int batch, int length, int heads, int headDim) = size;
        ColumnRange x = InputColumns(batch * length, heads * headDim, type, placed, out double[] values);
        ColumnRange back = OutputColumns(batch * length, heads * headDim, type, placed);
        Tensor y = Output((batch, heads, length, headDim), type);
        Heads.Split(x, y);
        Heads.Merge(y, back);
        float[] expected = new float[values.Length];
        for (int b = 0; b < batch; b++)
        {
            for (int s = 0; s < length; s++)
            {
                for (int h = 0; h < heads; h++)
                {
                    for (int i = 0; i < headDim; i++)
                    {
                        expected[((b * heads + h) * length + s) * headDim + i] = (float)
                            values[((b * length + s) * heads + h) * headDim + i];
                    }
                }
            }
        }

        Assert.That(y.ToArray(), Is.EqualTo(expected));
        Verify(back, values);
    }

    [Test]
    public void EmptyWork() => Heads.Split(Output((0, 6)), Output((2, 2, 0, 3)));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => Heads.Split(Output((6, 6)), Output((2, 3, 4, 2))),
            Throws.ArgumentException.With.Message.Contains("x is [6, 6], expected [8, any]")
        );
        Assert.That(
            () => Heads.Merge(Output((2, 3, 4, 2)), Output((8, 6), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("is BF16, expected F32")
        );
    }
}
