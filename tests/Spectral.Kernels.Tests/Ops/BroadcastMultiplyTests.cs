using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class BroadcastMultiplyTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly Broadcast[] All = Enum.GetValues<Broadcast>();

    [Test]
    public void Multiplies(
        [ValueSource(nameof(All))] Broadcast broadcast,
        [Values(1, 7, 33)] int rows,
        [ValueSource(nameof(Sizes))] int columns
    )
    {
        Tensor x = Input((rows, columns), DType.F32, out double[] xv);
        Tensor v = Input(Wanted(broadcast, rows, columns), DType.F32, out double[] vv);
        Tensor z = Output((rows, columns));
        Tensor sum = Input((rows, columns), DType.F32, out double[] before);
        double[] product = xv.Select((value, at) => (double)-0.7f * value * vv[At(broadcast, at, columns)]).ToArray();

        BroadcastMultiply.Run(x, v, z, broadcast, -0.7f);
        BroadcastMultiply.Run(x, v, sum, broadcast, -0.7f, accumulate: true);

        Verify(z, product);
        Verify(
            sum,
            product.Zip(before, (p, b) => p + b).ToArray(),
            product.Zip(before, (p, b) => Math.Abs(p) + Math.Abs(b)).ToArray()
        );
        BroadcastMultiply.Run(x, v, x, broadcast, -0.7f);
        Assert.That(x.ToArray(), Is.EqualTo(z.ToArray()), "in place");
    }

    [Test]
    public void LeadingDimensionsAreRows()
    {
        Tensor x = Input((3, 2, 5), DType.F32, out double[] xv);
        Tensor v = Input((3, 2), DType.F32, out double[] vv);
        Tensor z = Output((3, 2, 5));
        BroadcastMultiply.Run(x, v, z, Broadcast.PerRow);
        Verify(z, xv.Select((value, at) => value * vv[at / 5]).ToArray());
    }

    [Test]
    public void SquaresWithAllThreeTheSame()
    {
        Tensor x = Input(33, DType.F32, out double[] values);
        BroadcastMultiply.Run(x, x, x, Broadcast.PerElement);
        Verify(x, Array.ConvertAll(values, value => value * value));
    }

    [Test]
    public void NothingToDo() => BroadcastMultiply.Run(Output((0, 4)), Output(4), Output((0, 4)), Broadcast.PerColumn);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(4), x, Broadcast.PerRow),
            Throws.ArgumentException.With.Message.Contains("v is [4], expected 2 elements: PerRow of x [2, 4]")
        );
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(2), x, Broadcast.PerColumn),
            Throws.ArgumentException.With.Message.Contains("v is [2], expected 4 elements")
        );
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(2), x, Broadcast.Single),
            Throws.ArgumentException.With.Message.Contains("expected 1 elements")
        );
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(8), x, Broadcast.PerElement),
            Throws.ArgumentException.With.Message.Contains("v is [8], expected [2, 4]")
        );
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(4, DType.BF16), x, Broadcast.PerColumn),
            Throws.ArgumentException.With.Message.Contains("v is BF16, expected F32")
        );
        Assert.That(
            () => BroadcastMultiply.Run(x, Output(4), Output((4, 2)), Broadcast.PerColumn),
            Throws.ArgumentException.With.Message.Contains("z is [4, 2], expected [2, 4]")
        );
        using var gone = Tensor.Empty(Device, (2, 4));
        gone.Dispose();
        Assert.That(
            () => BroadcastMultiply.Run(x, gone, x, Broadcast.PerElement),
            Throws.TypeOf<ObjectDisposedException>()
        );
    }

    internal static Shape Wanted(Broadcast broadcast, int rows, int columns) =>
        broadcast switch
        {
            Broadcast.PerElement => (rows, columns),
            Broadcast.PerRow => rows,
            Broadcast.PerColumn => columns,
            _ => 1,
        };

    internal static int At(Broadcast broadcast, int at, int columns) =>
        broadcast switch
        {
            Broadcast.PerElement => at,
            Broadcast.PerRow => at / columns,
            Broadcast.PerColumn => at % columns,
            _ => 0,
        };
}
