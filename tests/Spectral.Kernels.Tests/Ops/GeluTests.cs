using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GeluTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int Rows, int Columns)[] Shapes =
    [
        (1, 1),
        (3, 1),
        (1, 4),
        (7, 7),
        (2, 8),
        (33, 33),
        (5, 1000),
        (1, 5001),
        (3, 2056),
    ];

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] GeluForm form,
        [Values] bool gated,
        [Values] Placed placed
    )
    {
        (int n, int f) = shape;
        ColumnRange x = InputColumns(n, f, type, placed, out double[] xs, deviation: 3);
        ColumnRange up = InputColumns(n, f, type, placed, out double[] us);
        ColumnRange y = OutputColumns(n, f, type, placed);
        Gelu.Forward(form, x, gated ? new ColumnRange?(up) : null, y);
        Verify(
            y,
            xs.Select((v, i) => v * Share(form, v) * (gated ? us[i] : 1)).ToArray(),
            xs.Select((v, i) => Size(form, v) * Math.Abs(v * (gated ? us[i] : 1))).ToArray()
        );
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] GeluForm form,
        [Values] bool gated,
        [Values] Placed placed
    )
    {
        (int n, int f) = shape;
        ColumnRange x = InputColumns(n, f, type, placed, out double[] xs, deviation: 3);
        ColumnRange up = InputColumns(n, f, type, placed, out double[] us);
        Tensor dy = Input((n, f), type, out double[] d);
        ColumnRange dx = OutputColumns(n, f, type, placed);
        ColumnRange dUp = OutputColumns(n, f, type, placed);
        Gelu.Backward(form, x, gated ? new ColumnRange?(up) : null, dy, dx, gated ? new ColumnRange?(dUp) : null);
        Verify(
            dx,
            xs.Select((v, i) => d[i] * (gated ? us[i] : 1) * Slope(form, v)).ToArray(),
            xs.Select(
                    (v, i) =>
                        Math.Abs(d[i] * (gated ? us[i] : 1)) * (Size(form, v) * (1 + 2 * Math.Abs(v * Lift(form, v))))
                )
                .ToArray(),
            what: "dx"
        );
        if (gated)
        {
            Verify(
                dUp,
                xs.Select((v, i) => d[i] * v * Share(form, v)).ToArray(),
                xs.Select((v, i) => Math.Abs(d[i] * v) * Size(form, v)).ToArray(),
                what: "dUp"
            );
        }
    }

    /// <summary>Values of the unit: of the exact one from tables of the normal distribution.</summary>
    [TestCase(GeluForm.Exact, 1, 0.8413447460685429)]
    [TestCase(GeluForm.Exact, -2, -2 * 0.02275013194817921)]
    [TestCase(GeluForm.Exact, 3, 3 * 0.9986501019683699)]
    [TestCase(GeluForm.Tanh, 1, 0.8411919906082768)]
    [TestCase(GeluForm.Tanh, -2, -0.04540230591222)]
    public void KnownValues(GeluForm form, double x, double expected)
    {
        Tensor value = Input([(float)x], (1, 1), DType.F32, out _);
        Tensor y = Output((1, 1));
        Gelu.Forward(form, value, null, y);
        Assert.That(y.ToArray()[0], Is.EqualTo(expected).Within(3e-7)); // F32, of numbers of size 3
    }

    [Test]
    public void BackwardIsTheGradientOfForward([Values] GeluForm form)
    {
        const double H = 1e-5;
        Tensor x = Input((1, 500), DType.F32, out double[] xs, deviation: 3);
        Tensor dy = Input((1, 500), DType.F32, out double[] d);
        Tensor dx = Output((1, 500));
        Gelu.Backward(form, x, null, dy, dx, null);
        float[] actual = dx.ToArray();
        for (int i = 0; i < 500; i++)
        {
            (double above, double below) = (xs[i] + H, xs[i] - H);
            double numeric = (above * Share(form, above) - below * Share(form, below)) / (2 * H) * d[i];
            // 2e-6: F32 rounding of a sum of terms of size x², and H² of the differences
            Assert.That(
                actual[i],
                Is.EqualTo(numeric).Within(2e-6 * (1 + xs[i] * xs[i]) * Math.Abs(d[i]) + 1e-12),
                $"element {i}, x {xs[i]}"
            );
        }
    }

    [Test]
    public void ExtremeValues([Values] GeluForm form)
    {
        const int Rows = 4; // as one run of 32 elements, which the CPU device takes at once in part
        Tensor x = Input(Repeat<float>([-1e30f, -100, -20, 20, 100, 1e30f, float.NaN, 0]), (Rows, 8), DType.F32, out _);
        Tensor dy = Input(Repeat<float>([1, 1, 1, 1, 1, 1, 1, 1]), (Rows, 8), DType.F32, out _);
        Tensor y = Output((Rows, 8));
        Tensor dx = Output((Rows, 8));
        Gelu.Forward(form, x, null, y);
        Gelu.Backward(form, x, null, dy, dx, null);
        Verify(y, Repeat<double>([0, 0, 0, 20, 100, 1e30f, double.NaN, 0]));
        Verify(dx, Repeat<double>([0, 0, 0, 1, 1, 1, double.NaN, 0.5]));

        static T[] Repeat<T>(T[] row) => [.. Enumerable.Repeat(row, Rows).SelectMany(values => values)];
    }

    [Test]
    public void OutputsMayBeInputs([ValueSource(nameof(FloatTypes))] DType type, [Values] GeluForm form)
    {
        Tensor x = Input((3, 1000), type, out _);
        Tensor up = Input((3, 1000), type, out _);
        Tensor dy = Input((3, 1000), type, out _);
        Tensor dx = Output((3, 1000), type);
        Tensor dUp = Output((3, 1000), type);
        Gelu.Backward(form, x, (ColumnRange)up, dy, dx, (ColumnRange)dUp);
        Gelu.Backward(form, x, (ColumnRange)up, dy, up, (ColumnRange)x);
        Assert.That(up.ToArray(), Is.EqualTo(dx.ToArray()));
        Assert.That(x.ToArray(), Is.EqualTo(dUp.ToArray()));
    }

    [Test]
    public void EmptyWork() => Gelu.Forward(GeluForm.Tanh, Output((0, 4)), null, Output((0, 4)));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor a = Output((2, 4));
        Assert.That(
            () => Gelu.Forward(GeluForm.Tanh, a, (ColumnRange)Output((4, 2)), a),
            Throws.ArgumentException.With.Message.Contains("up is [4, 2], expected [2, any]")
        );
        Assert.That(
            () => Gelu.Forward(GeluForm.Tanh, a, null, Output((2, 4), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
        Assert.That(
            () => Gelu.Backward(GeluForm.Tanh, a, (ColumnRange)a, a, a, (ColumnRange)Output(8)),
            Throws.ArgumentException.With.Message.Contains("dUp is [8], expected [2, any]")
        );
        Assert.That(
            () => Gelu.Backward(GeluForm.Tanh, a, null, a, a, (ColumnRange)a),
            Throws.ArgumentException.With.Message.Contains("expected both or neither")
        );
    }

    private static double Cubic(double x) => Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);

    /// <summary>The derivative of what is under the tanh; of the exact form, the density's exponent by x.</summary>
    private static double Lift(GeluForm form, double x) =>
        form == GeluForm.Tanh ? Math.Sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x) : 0.5 * Math.Abs(x);

    private static double Share(GeluForm form, double x) =>
        form == GeluForm.Tanh ? 1 / (1 + Math.Exp(-2 * Cubic(x))) : NormalProbability.Of(x);

    private static double Slope(GeluForm form, double x)
    {
        double share = Share(form, x);
        return share
            + x * (form == GeluForm.Tanh ? 2 * share * (1 - share) * Lift(form, x) : NormalProbability.Density(x));
    }

    /// <summary>
    /// The share and, below 0, how much its exponent's rounding changes it. Shares below 2⁻¹²⁶ may be 0: they count as
    /// 10⁻³⁰.
    /// </summary>
    private static double Size(GeluForm form, double x) =>
        1e-30 + Share(form, x) * (1 + (form == GeluForm.Tanh ? Math.Abs(2 * Cubic(x)) : x * x));
}
