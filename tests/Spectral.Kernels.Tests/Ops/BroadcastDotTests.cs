using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class BroadcastDotTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly Broadcast[] Sums = [Broadcast.PerRow, Broadcast.PerColumn, Broadcast.Single];
    private static readonly (int, int)[] Shapes =
    [
        (1, 1),
        (1, 7),
        (7, 1),
        (33, 33),
        (127, 5),
        (3, 127),
        (1000, 6),
        (5, 5001),
        (70_001, 3),
        (2, 2_200_001),
    ];

    [Test]
    public void SumsProducts(
        [ValueSource(nameof(Sums))] Broadcast broadcast,
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape
    )
    {
        Tensor x = Input(shape, DType.F32, out double[] xv);
        Tensor y = Input(shape, DType.F32, out double[] yv);
        Shape wanted = BroadcastMultiplyTests.Wanted(broadcast, shape.Rows, shape.Columns);
        Tensor result = Output(wanted);
        Tensor sum = Input(wanted, DType.F32, out double[] before);
        double[] expected = new double[wanted.Count];
        double[] magnitude = new double[wanted.Count];
        for (int at = 0; at < xv.Length; at++)
        {
            double term = (double)-0.7f * xv[at] * yv[at];
            expected[BroadcastMultiplyTests.At(broadcast, at, shape.Columns)] += term;
            magnitude[BroadcastMultiplyTests.At(broadcast, at, shape.Columns)] += Math.Abs(term);
        }

        BroadcastDot.Run(x, y, result, broadcast, -0.7f);
        BroadcastDot.Run(x, y, sum, broadcast, -0.7f, accumulate: true);

        // F64 inside: of the sum only its last rounding is left
        Verify(result, expected, Array.ConvertAll(magnitude, m => m * 1e-6));
        Verify(sum, expected.Zip(before, (e, b) => e + b).ToArray(), Array.ConvertAll(magnitude, m => m * 1e-6));
    }

    [Test]
    public void SquaresDoNotOverflowOrVanish([Values(1e18f, 1e-18f)] float size)
    {
        Tensor x = Input([3 * size, 4 * size], (1, 2), DType.F32, out double[] values);
        Tensor result = Output(1);
        BroadcastDot.Run(x, x, result, Broadcast.PerRow);
        Verify(result, [values.Sum(v => v * v)]);
    }

    [Test]
    public void SumsAtOddAddresses()
    {
        Tensor all = Input(4001, DType.F32, out double[] values);
        Tensor result = Output(1);
        using Tensor tail = all.Rows(1, 4000);
        using Tensor head = all.Rows(0, 4000);
        BroadcastDot.Run(head, tail, result, Broadcast.Single);
        double[] terms = values[..4000].Zip(values[1..], (a, b) => a * b).ToArray();
        Verify(result, [terms.Sum()], [terms.Sum(Math.Abs) * 1e-6]);
    }

    [Test]
    public void SameInputSameBits([ValueSource(nameof(Sums))] Broadcast broadcast)
    {
        Tensor x = Input((3001, 70), DType.F32, out _);
        Tensor first = Output(BroadcastMultiplyTests.Wanted(broadcast, 3001, 70));
        Tensor second = Output(first.Shape);
        BroadcastDot.Run(x, x, first, broadcast);
        BroadcastDot.Run(x, x, second, broadcast);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void NothingGivesZero()
    {
        Tensor result = Output(4);
        Tensor kept = Input([1f, 2, 3, 4], 4, DType.F32, out _);
        BroadcastDot.Run(Output((0, 4)), Output((0, 4)), result, Broadcast.PerColumn);
        BroadcastDot.Run(Output((0, 4)), Output((0, 4)), kept, Broadcast.PerColumn, accumulate: true);
        Assert.That(result.ToArray(), Is.All.Zero);
        Assert.That(kept.ToArray(), Is.EqualTo(new float[] { 1, 2, 3, 4 }));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Assert.That(
            () => BroadcastDot.Run(x, x, Output((2, 4)), Broadcast.PerElement),
            Throws.ArgumentException.With.Message.Contains("PerElement sums nothing")
        );
        Assert.That(
            () => BroadcastDot.Run(x, x, Output(4), Broadcast.PerRow),
            Throws.ArgumentException.With.Message.Contains("result is [4], expected 2 elements: PerRow of x [2, 4]")
        );
        Assert.That(
            () => BroadcastDot.Run(x, Output(8), Output(2), Broadcast.PerRow),
            Throws.ArgumentException.With.Message.Contains("y is [8], expected [2, 4]")
        );
        Assert.That(
            () => BroadcastDot.Run(x, Output((2, 4), DType.BF16), Output(2), Broadcast.PerRow),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
    }
}
