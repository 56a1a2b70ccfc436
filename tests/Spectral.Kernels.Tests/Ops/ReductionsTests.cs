using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ReductionsTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly int[] Counts = [1, 3, 33, 1000, 2048, 2049, 40_001, 3_000_001];

    [Test]
    public void SumAddsInDouble([ValueSource(nameof(Counts))] int count)
    {
        Tensor x = Input(count, DType.F32, out double[] values);
        Tensor result = Output(1);
        Sum.Run(x, result);
        Verify(result, [values.Sum()]); // F64 accumulation: only the last rounding is left, whatever the length
    }

    [Test]
    public void SumsAtOddAddresses()
    {
        Tensor all = Input(5001, DType.F32, out double[] values);
        Tensor result = Output(1);
        using Tensor tail = all.Rows(1, 5000);
        Sum.Run(tail, result);
        Verify(result, [values[1..].Sum()]);
    }

    [Test]
    public void NormSpansTensors()
    {
        Tensor a = Input((33, 7), DType.F32, out double[] av);
        Tensor b = Input(5000, DType.F32, out double[] bv);
        Tensor none = Output(0);
        Tensor c = Input(1, DType.F32, out double[] cv);
        Tensor result = Output(1);
        GlobalNorm.Run([a, b, none, c], result);
        Verify(result, [Math.Sqrt(av.Concat(bv).Concat(cv).Sum(x => x * x))]);
    }

    [Test]
    public void SquaresDoNotOverflowOrVanish([Values(1e30f, 1e-30f)] float size)
    {
        Tensor x = Input([3 * size, 4 * size], 2, DType.F32, out double[] values);
        Tensor result = Output(1);
        GlobalNorm.Run([x], result);
        Verify(result, [Math.Sqrt(values.Sum(v => v * v))]);
    }

    [Test]
    public void NothingGivesZero()
    {
        Tensor result = Output(1);
        Tensor again = Output(1);
        GlobalNorm.Run([], result);
        Sum.Run(Output(0), again);
        Assert.That((result.ToArray()[0], again.ToArray()[0]), Is.EqualTo((0f, 0f)));
    }

    [Test]
    public void SameInputSameBits()
    {
        Tensor x = Input(300_000, DType.F32, out _);
        Tensor first = Output(1);
        Tensor second = Output(1);
        GlobalNorm.Run([x], first);
        GlobalNorm.Run([x], second);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => Sum.Run(Output(4), Output(2)),
            Throws.ArgumentException.With.Message.Contains("result is [2], expected [1]")
        );
        Assert.That(
            () => GlobalNorm.Run([Output(4, DType.BF16)], Output(1)),
            Throws.ArgumentException.With.Message.Contains("tensors is BF16, expected F32")
        );
        using var gone = Tensor.Empty(Device, 4);
        gone.Dispose();
        Assert.That(() => GlobalNorm.Run([gone], Output(1)), Throws.TypeOf<ObjectDisposedException>());
    }
}
