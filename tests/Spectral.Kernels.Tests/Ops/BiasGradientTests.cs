using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class BiasGradientTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void SumsTheRows(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 64, 65, 1000, 4200)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool accumulate
    )
    {
        if (rows * columns > 1_000_000)
            rows = 1000; // 4200: two levels of partial sums, seen at the narrower widths
        Tensor dy = Input((rows, columns), type, out double[] values);
        Tensor dBias = Input(columns, DType.F32, out double[] before);
        BiasGradient.Run(dy, dBias, accumulate);
        double[] expected = accumulate ? (double[])before.Clone() : new double[columns];
        double[] terms = expected.Select(Math.Abs).ToArray();
        for (int i = 0; i < values.Length; i++)
        {
            expected[i % columns] += values[i];
            terms[i % columns] += Math.Abs(values[i]);
        }
        Verify(dBias, expected, terms, rows);
    }

    [Test]
    public void NoRowsGiveZero()
    {
        Tensor dBias = Output(4);
        BiasGradient.Run(Output((0, 4)), dBias, accumulate: false);
        Assert.That(dBias.ToArray(), Is.All.Zero);
        BiasGradient.Run(Output((4, 0)), Output(0), accumulate: false);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => BiasGradient.Run(Output((2, 4)), Output(5), false),
            Throws.ArgumentException.With.Message.Contains("dBias is [5], expected [4]")
        );
        Assert.That(
            () => BiasGradient.Run(Output((2, 4)), Output(4, DType.BF16), false),
            Throws.ArgumentException.With.Message.Contains("dBias is BF16, expected F32")
        );
        Assert.That(
            () => BiasGradient.Run(Output((2, 4), DType.I32), Output(4), false),
            Throws.ArgumentException.With.Message.Contains("dy is I32, expected F32 or BF16")
        );
    }
}
