using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ScaleShiftTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ScalesAndShiftsColumns(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 65, 200)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool shifted
    )
    {
        Tensor x = Input((rows, columns), type, out double[] xs);
        Tensor scale = Input(columns, DType.F32, out double[] scales);
        Tensor y = Output((rows, columns), type);
        double[]? shifts = null;
        Tensor? shift = shifted ? Input(columns, type, out shifts) : null;
        ScaleShift.Forward(x, scale, shift, y);
        double[] expected = [.. xs.Select((value, i) => scales[i % columns] * value + (shifts?[i % columns] ?? 0))];
        double[] terms =
        [
            .. xs.Select((value, i) => Math.Abs(scales[i % columns] * value) + Math.Abs(shifts?[i % columns] ?? 0)),
        ];
        Verify(y, expected, terms, 2);
    }

    [Test]
    public void TheAdjointScalesAndAdds(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 65)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool accumulate
    )
    {
        Tensor dy = Input((rows, columns), type, out double[] dys);
        Tensor scale = Input((1, columns), DType.F32, out double[] scales);
        double[] before = new double[dys.Length];
        Tensor dx = accumulate ? Input((rows, columns), type, out before) : Output((rows, columns), type);
        ScaleShift.Backward(dy, scale, dx, accumulate);
        double[] expected = [.. dys.Select((value, i) => scales[i % columns] * value + before[i])];
        double[] terms = [.. dys.Select((value, i) => Math.Abs(scales[i % columns] * value) + Math.Abs(before[i]))];
        Verify(dx, expected, terms, 2);
    }

    [Test]
    public void TheScalesGradientSumsTheRows(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 64, 65, 1000)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool accumulate
    )
    {
        Tensor dy = Input((rows, columns), type, out double[] dys);
        Tensor x = Input((rows, columns), type, out double[] xs);
        Tensor dScale = Input((columns, 1), DType.F32, out double[] before);
        ScaleShift.ScaleGradient(dy, x, dScale, accumulate);
        double[] expected = accumulate ? (double[])before.Clone() : new double[columns];
        double[] terms = [.. expected.Select(Math.Abs)];
        for (int i = 0; i < dys.Length; i++)
        {
            expected[i % columns] += dys[i] * xs[i];
            terms[i % columns] += Math.Abs(dys[i] * xs[i]);
        }
        Verify(dScale, expected, terms, rows);
    }

    [Test]
    public void NoRowsGiveZeroOrNothing()
    {
        Tensor dScale = Output(4);
        ScaleShift.ScaleGradient(Output((0, 4)), Output((0, 4)), dScale, accumulate: false);
        Assert.That(dScale.ToArray(), Is.All.Zero);
        ScaleShift.Forward(Output((0, 4)), Output(4), null, Output((0, 4)));
        ScaleShift.ScaleGradient(Output((4, 0)), Output((4, 0)), Output(0), accumulate: false);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => ScaleShift.Forward(Output((2, 4)), Output(5), null, Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("scale is [5], expected 4 elements")
        );
        Assert.That(
            () => ScaleShift.Forward(Output((2, 4)), Output(4), Output(3), Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("shift is [3], expected [4]")
        );
        Assert.That(
            () =>
                ScaleShift.Forward(Output((2, 4), DType.BF16), Output(4, DType.BF16), null, Output((2, 4), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("scale is BF16, expected F32")
        );
        Assert.That(
            () => ScaleShift.ScaleGradient(Output((2, 4)), Output((2, 5)), Output(4), false),
            Throws.ArgumentException.With.Message.Contains("x is [2, 5], expected [2, 4]")
        );
    }
}
