using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RearrangeTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void TakesAndSumsBack(
        [ValueSource(nameof(Sizes))] int count,
        [Values(1, 5, 400)] int sources,
        [Values] bool factors
    )
    {
        int[] index = Enumerable.Range(0, count).Select(_ => Rng.Next(-1, sources)).ToArray();
        float[] given = factors ? Enumerable.Range(0, count).Select(_ => (float)Rng.NextDouble() - 0.5f).ToArray() : [];
        double Factor(int e) => factors ? given[e] : 1;
        using var table = new IndexTable(Device, index, sources, given);
        Tensor x = Input(sources, DType.F32, out double[] xv);
        Tensor dy = Input(count, DType.F32, out double[] gradient);
        Tensor y = Output(count);
        Tensor dx = Output(sources);
        Tensor sum = Input(sources, DType.F32, out double[] before);
        double[] expected = new double[sources];
        double[] magnitude = new double[sources];
        for (int e = 0; e < count; e++)
        {
            if (index[e] >= 0)
            {
                expected[index[e]] += Factor(e) * gradient[e];
                // F64 inside: only the last rounding is left
                magnitude[index[e]] += 1e-6 * Math.Abs(Factor(e) * gradient[e]);
            }
        }

        Rearrange.Forward(x, table, y);
        Rearrange.Backward(dy, table, dx);
        Rearrange.Backward(dy, table, sum, accumulate: true);

        Verify(y, index.Select((from, e) => from < 0 ? 0 : Factor(e) * xv[from]).ToArray());
        Verify(dx, expected, magnitude);
        Verify(
            sum,
            expected.Zip(before, (e, b) => e + b).ToArray(),
            magnitude.Zip(before, (m, b) => m + 1e-6 * Math.Abs(b)).ToArray()
        );
    }

    [Test]
    public void SameInputSameBits()
    {
        using var table = new IndexTable(Device, Enumerable.Range(0, 5000).Select(e => e % 3).ToArray(), 3);
        Tensor dy = Input(5000, DType.F32, out _);
        Tensor first = Output(3);
        Tensor second = Output(3);
        Rearrange.Backward(dy, table, first);
        Rearrange.Backward(dy, table, second);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void NothingTakenIsZero()
    {
        using IndexTable table = new(Device, [-1, -1], 3);
        using IndexTable none = new(Device, [], 0);
        Tensor y = Output(2);
        Tensor dx = Output(3);
        Rearrange.Forward(Output(3), table, y); // NaN that is not taken does not show
        Rearrange.Backward(Output(2), table, dx);
        Assert.That(y.ToArray(), Is.All.Zero);
        Assert.That(dx.ToArray(), Is.All.Zero);
        Rearrange.Forward(Output(0), none, Output(0));
        Rearrange.Backward(Output(0), none, Output(0));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => new IndexTable(Device, [0, 3], 3),
            Throws.ArgumentException.With.Message.Contains("index[1] is 3, expected -1 to 2")
        );
        Assert.That(
            () => new IndexTable(Device, [-2], 3),
            Throws.ArgumentException.With.Message.Contains("index[0] is -2")
        );
        Assert.That(
            () => new IndexTable(Device, [0, 1], 3, [1f]),
            Throws.ArgumentException.With.Message.Contains("1 factors for 2 indices")
        );
        using var table = new IndexTable(Device, [0, 1], 3);
        Assert.That(
            () => Rearrange.Forward(Output(2), table, Output(2)),
            Throws.ArgumentException.With.Message.Contains("x is [2], expected 3 elements")
        );
        Assert.That(
            () => Rearrange.Backward(Output(3), table, Output(3)),
            Throws.ArgumentException.With.Message.Contains("dy is [3], expected 2 elements")
        );
        Assert.That(
            () => Rearrange.Forward(Output(3), table, Output(2, DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
    }
}
