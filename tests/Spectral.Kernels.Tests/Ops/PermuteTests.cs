using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PermuteTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int[] Dimensions, int[] Axes)[] Cases =
    [
        ([5], [0]),
        ([1, 7], [1, 0]),
        ([33, 127], [1, 0]),
        ([1000, 3], [1, 0]),
        ([6, 4], [0, 1]),
        ([3, 5, 7], [0, 2, 1]),
        ([3, 5, 7], [2, 0, 1]),
        ([3, 5, 7], [1, 0, 2]),
        ([2, 3, 4, 5], [3, 1, 0, 2]),
        ([2, 3, 4, 5], [0, 2, 1, 3]),
    ];

    [Test]
    public void ReordersDimensions([ValueSource(nameof(Cases))] (int[] Dimensions, int[] Axes) given)
    {
        (int[] dimensions, int[] axes) = given;
        Tensor x = Input(Shape.Of(dimensions), DType.F32, out double[] values);
        Shape shape = Permute.Of(x.Shape, axes);
        Tensor y = Output(shape);
        Tensor sum = Input(shape, DType.F32, out double[] before);
        double[] expected = new double[values.Length];
        for (int at = 0; at < values.Length; at++)
        {
            int[] index = new int[dimensions.Length];
            for (int d = dimensions.Length - 1, rest = at; d >= 0; rest /= dimensions[d--])
                index[d] = rest % dimensions[d];
            int to = 0;
            for (int k = 0; k < axes.Length; k++)
                to = to * dimensions[axes[k]] + index[axes[k]];
            expected[to] = values[at];
        }

        Permute.Run(x, axes, y);
        Permute.Run(x, axes, sum, accumulate: true);

        Assert.That(y.ToArray(), Is.EqualTo(Array.ConvertAll(expected, value => (float)value)));
        Verify(sum, expected.Zip(before, (e, b) => e + b).ToArray());
    }

    [Test]
    public void NothingToDo() => Permute.Run(Output((0, 3)), [1, 0], Output((3, 0)));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Assert.That(
            () => Permute.Run(x, [1, 1], x),
            Throws.ArgumentException.With.Message.Contains(
                "axes [1, 1] for a shape [2, 4]: expected each of its dimensions once"
            )
        );
        Assert.That(() => Permute.Run(x, [0], x), Throws.ArgumentException.With.Message.Contains("axes [0]"));
        Assert.That(() => Permute.Run(x, [0, 2], x), Throws.ArgumentException.With.Message.Contains("axes [0, 2]"));
        Assert.That(
            () => Permute.Run(x, [1, 0], Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("y is [2, 4], expected [4, 2]")
        );
        Assert.That(
            () => Permute.Run(x, [1, 0], Output((4, 2), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
    }
}
