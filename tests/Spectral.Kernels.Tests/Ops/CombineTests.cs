using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CombineTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int, int)[] Matrices = [(1, 1), (7, 7), (33, 33), (5, 12), (12, 5), (1, 9), (9, 1)];

    [Test]
    public void AddsWithFactors([ValueSource(nameof(Sizes))] int count)
    {
        Tensor x = Input(count, DType.F32, out double[] xv);
        Tensor y = Input(count, DType.F32, out double[] yv);
        Tensor z = Output(count);
        Tensor alone = Output(count);
        (double alpha, double beta) = (0.3f, -1.7f);

        Combine.Run(x, 0.3f, y, -1.7f, z);
        Combine.Run(x, 0.3f, null, 0, alone);

        Verify(
            z,
            xv.Zip(yv, (a, b) => alpha * a + beta * b).ToArray(),
            xv.Zip(yv, (a, b) => Math.Abs(alpha * a) + Math.Abs(beta * b)).ToArray()
        );
        Verify(alone, Array.ConvertAll(xv, a => alpha * a));
        Combine.Run(x, 0.3f, y, -1.7f, y);
        Combine.Run(x, 0.3f, null, 0, x);
        Assert.That(y.ToArray(), Is.EqualTo(z.ToArray()), "into y");
        Assert.That(x.ToArray(), Is.EqualTo(alone.ToArray()), "into x");
    }

    [Test]
    public void AddsTheIdentityToEachMatrix(
        [ValueSource(nameof(Matrices))] (int Rows, int Columns) size,
        [Values(1, 3)] int batch
    )
    {
        Shape shape = batch == 1 ? (size.Rows, size.Columns) : (batch, size.Rows, size.Columns);
        Tensor x = Input(shape, DType.F32, out double[] values);
        Tensor z = Output(shape);

        Combine.AddIdentity(x, -1, 2.5f, z);

        bool OnDiagonal(int at) => at / size.Columns % size.Rows == at % size.Columns;
        Verify(
            z,
            values.Select((value, at) => -value + (OnDiagonal(at) ? 2.5 : 0)).ToArray(),
            values.Select((value, at) => Math.Abs(value) + (OnDiagonal(at) ? 2.5 : 0)).ToArray()
        );
    }

    [Test]
    public void NothingToDo() => Combine.Run(Output(0), 1, null, 0, Output(0));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Assert.That(
            () => Combine.Run(x, 1, Output(8), 1, x),
            Throws.ArgumentException.With.Message.Contains("y is [8], expected [2, 4]")
        );
        Assert.That(
            () => Combine.Run(x, 1, x, 1, Output((2, 4), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("z is BF16, expected F32")
        );
        Assert.That(
            () => Combine.AddIdentity(Output(4), 1, 1, Output(4)),
            Throws.ArgumentException.With.Message.Contains("x is [4], expected a matrix")
        );
    }
}
