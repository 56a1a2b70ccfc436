using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RandomCombinationTests(DeviceKind kind) : DeviceTest(kind)
{
    private const ulong Key = 0x1234_5678_9abc_def0;
    private const ulong Stream = ulong.MaxValue - 3; // the stream's number wraps, as Philox's does
    private const float Bound = 0.37f;

    [Test]
    public void CombinesDirectionsAndSumsBack([ValueSource(nameof(Sizes))] int count, [Values(1, 7, 20)] int n)
    {
        Tensor origin = Input(count, DType.F32, out double[] start);
        Tensor alpha = Input(n, DType.F32, out double[] coefficients);
        Tensor dy = Input(count, DType.F32, out double[] gradient);
        Tensor y = Output(count);
        Tensor alone = Output(count);
        Tensor dalpha = Output(n);
        Tensor sum = Input(n, DType.F32, out double[] before);
        double[][] directions = Directions(count, n);
        double[] expected = new double[count];
        double[] magnitude = new double[count];
        for (int i = 0; i < n; i++)
        {
            for (int e = 0; e < count; e++)
            {
                expected[e] += coefficients[i] * directions[i][e];
                magnitude[e] += Math.Abs(coefficients[i] * directions[i][e]);
            }
        }

        double[] back = Array.ConvertAll(directions, u => u.Zip(gradient, (a, b) => a * b).Sum());
        // F64 inside
        double[] terms = Array.ConvertAll(directions, u => u.Zip(gradient, (a, b) => Math.Abs(a * b)).Sum() * 1e-6);

        RandomCombination.Forward(origin, alpha, y, Key, Stream, Bound);
        RandomCombination.Forward(null, alpha, alone, Key, Stream, Bound);
        RandomCombination.Backward(dy, dalpha, Key, Stream, Bound);
        RandomCombination.Backward(dy, sum, Key, Stream, Bound, accumulate: true);

        Verify(
            y,
            expected.Zip(start, (a, b) => a + b).ToArray(),
            magnitude.Zip(start, (a, b) => a + Math.Abs(b)).ToArray(),
            n
        );
        Verify(alone, expected, magnitude, n);
        Verify(dalpha, back, terms);
        Verify(
            sum,
            back.Zip(before, (a, b) => a + b).ToArray(),
            terms.Zip(before, (a, b) => a + 1e-6 * Math.Abs(b)).ToArray()
        );
        RandomCombination.Forward(origin, alpha, origin, Key, Stream, Bound);
        Assert.That(origin.ToArray(), Is.EqualTo(y.ToArray()), "in place");
    }

    [Test]
    public void LongArraysAreSummedInChunks()
    {
        const int count = 20_003;
        Tensor dy = Input(count, DType.F32, out double[] gradient);
        Tensor dalpha = Output(2);
        Tensor again = Output(2);
        RandomCombination.Backward(dy, dalpha, Key, Stream, Bound);
        RandomCombination.Backward(dy, again, Key, Stream, Bound);
        double[][] directions = Directions(count, 2);
        Verify(dalpha, Array.ConvertAll(directions, u => u.Zip(gradient, (a, b) => a * b).Sum()), [1e-3, 1e-3]);
        Assert.That(again.ToArray(), Is.EqualTo(dalpha.ToArray()), "same bits");
    }

    [Test]
    public void NothingToDo()
    {
        Tensor dalpha = Output(2);
        Tensor y = Output(5);
        RandomCombination.Forward(null, Output(3), Output(0), Key, Stream, Bound);
        RandomCombination.Backward(Output(0), dalpha, Key, Stream, Bound);
        RandomCombination.Backward(Output(4), Output(0), Key, Stream, Bound);
        RandomCombination.Forward(null, Output(0), y, Key, Stream, Bound);
        Assert.That(dalpha.ToArray(), Is.All.Zero);
        Assert.That(y.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => RandomCombination.Forward(Output(3), Output(2), Output(4), 0, 0, 1),
            Throws.ArgumentException.With.Message.Contains("origin is [3], expected [4]")
        );
        Assert.That(
            () => RandomCombination.Forward(null, Output((2, 2)), Output(4), 0, 0, 1),
            Throws.ArgumentException.With.Message.Contains("alpha is [2, 2]")
        );
        Assert.That(
            () => RandomCombination.Backward(Output(4, DType.BF16), Output(2), 0, 0, 1),
            Throws.ArgumentException.With.Message.Contains("dy is BF16, expected F32")
        );
    }

    private double[][] Directions(int count, int n) =>
        Enumerable
            .Range(0, n)
            .Select(i =>
            {
                using var u = Tensor.Empty(Device, count);
                Philox.Uniform(u, Key, unchecked(Stream + (ulong)i), -Bound, Bound);
                return Array.ConvertAll(u.ToArray(), value => (double)value);
            })
            .ToArray();
}
