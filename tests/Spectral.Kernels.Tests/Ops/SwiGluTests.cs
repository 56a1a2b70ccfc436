using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SwiGluTests(DeviceKind kind) : DeviceTest(kind)
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
        [Values] Placed placed
    )
    {
        (int n, int f) = shape;
        ColumnRange gate = InputColumns(n, f, type, placed, out double[] g, deviation: 4);
        ColumnRange up = InputColumns(n, f, type, placed, out double[] u);
        ColumnRange y = OutputColumns(n, f, type, placed);
        SwiGlu.Forward(gate, up, y);
        Verify(y, g.Select((x, i) => x * Sigmoid(x) * u[i]).ToArray());
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] Placed placed
    )
    {
        (int n, int f) = shape;
        ColumnRange gate = InputColumns(n, f, type, placed, out double[] g, deviation: 4);
        ColumnRange up = InputColumns(n, f, type, placed, out double[] u);
        Tensor dy = Input((n, f), type, out double[] d);
        ColumnRange dGate = OutputColumns(n, f, type, placed);
        ColumnRange dUp = OutputColumns(n, f, type, placed);
        SwiGlu.Backward(gate, up, dy, dGate, dUp);
        double[] slope = g.Select(x => Sigmoid(x) * (1 + x * (1 - Sigmoid(x)))).ToArray();
        double[] size = g.Select(x => Sigmoid(x) * (1 + Math.Abs(x))).ToArray();
        Verify(
            dGate,
            slope.Select((s, i) => d[i] * u[i] * s).ToArray(),
            size.Select((s, i) => Math.Abs(d[i] * u[i] * s)).ToArray(),
            what: "dGate"
        );
        Verify(dUp, g.Select((x, i) => d[i] * x * Sigmoid(x)).ToArray(), what: "dUp");
    }

    [Test]
    public void BackwardIsTheGradientOfForward()
    {
        const double H = 1e-5;
        Tensor gate = Input((1, 500), DType.F32, out double[] g, deviation: 3);
        Tensor up = Input((1, 500), DType.F32, out double[] u);
        Tensor dy = Input((1, 500), DType.F32, out double[] d);
        Tensor dGate = Output((1, 500));
        Tensor dUp = Output((1, 500));
        SwiGlu.Backward(gate, up, dy, dGate, dUp);
        float[] actual = dGate.ToArray();
        for (int i = 0; i < 500; i++)
        {
            double numeric = ((g[i] + H) * Sigmoid(g[i] + H) - (g[i] - H) * Sigmoid(g[i] - H)) / (2 * H) * u[i] * d[i];
            // 1e-6: F32 rounding of a sum of terms of size 1, and H² of the differences
            Assert.That(
                actual[i],
                Is.EqualTo(numeric).Within(1e-6 * (1 + Math.Abs(g[i])) * Math.Abs(u[i] * d[i]) + 1e-12),
                $"element {i}, gate {g[i]}"
            );
        }
    }

    [Test]
    public void ExtremeGates()
    {
        Tensor gate = Input([-1e30f, -100, -88, 88, 100, 1e30f, float.NaN, 0], (1, 8), DType.F32, out _);
        Tensor up = Input([1, 1, 1, 1, 1, 1, 1, 1], (1, 8), DType.F32, out _);
        Tensor y = Output((1, 8));
        SwiGlu.Forward(gate, up, y);
        Verify(y, [0, 0, -88 * Math.Exp(-88), 88, 100, 1e30f, double.NaN, 0]);
    }

    [Test]
    public void OutputsMayBeInputs([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor gate = Input((3, 1000), type, out _);
        Tensor up = Input((3, 1000), type, out _);
        Tensor dy = Input((3, 1000), type, out _);
        Tensor dGate = Output((3, 1000), type);
        Tensor dUp = Output((3, 1000), type);
        SwiGlu.Backward(gate, up, dy, dGate, dUp);
        SwiGlu.Backward(gate, up, dy, up, gate);
        Assert.That(up.ToArray(), Is.EqualTo(dGate.ToArray()));
        Assert.That(gate.ToArray(), Is.EqualTo(dUp.ToArray()));
    }

    /// <summary>As when one product computes gate and up side by side.</summary>
    [Test]
    public void GateAndUpOfOneMatrix([ValueSource(nameof(FloatTypes))] DType type, [Values(9, 24)] int f)
    {
        Tensor both = Input((3, 2 * f), type, out double[] values);
        Tensor dy = Input((3, f), type, out _);
        Tensor gradients = Output((3, 2 * f), type);
        Tensor y = Output((3, f), type);
        Tensor alone = Output((3, f), type);
        Tensor[] parts =
        [
            .. new[] { 0, f }.Select(from =>
                Input(
                    [.. values.Where((_, i) => i % (2 * f) / f == from / f).Select(value => (float)value)],
                    (3, f),
                    type,
                    out _
                )
            ),
        ];
        Tensor dGate = Output((3, f), type);
        Tensor dUp = Output((3, f), type);
        SwiGlu.Forward(new(both, 0, f), new(both, f, f), y);
        SwiGlu.Backward(new(both, 0, f), new(both, f, f), dy, new(gradients, 0, f), new(gradients, f, f));
        SwiGlu.Forward(parts[0], parts[1], alone);
        SwiGlu.Backward(parts[0], parts[1], dy, dGate, dUp);
        Assert.That(y.ToArray(), Is.EqualTo(alone.ToArray()));
        float[] all = gradients.ToArray();
        Assert.That(all.Where((_, i) => i % (2 * f) < f), Is.EqualTo(dGate.ToArray()));
        Assert.That(all.Where((_, i) => i % (2 * f) >= f), Is.EqualTo(dUp.ToArray()));
    }

    [Test]
    public void EmptyWork() => SwiGlu.Forward(Output((0, 4)), Output((0, 4)), Output((0, 4)));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor a = Output((2, 4));
        Assert.That(
            () => SwiGlu.Forward(a, Output((4, 2)), a),
            Throws.ArgumentException.With.Message.Contains("up is [4, 2], expected [2, any]")
        );
        Assert.That(
            () => SwiGlu.Forward(a, a, Output((2, 4), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
        Assert.That(
            () => SwiGlu.Backward(a, a, a, a, Output(8)),
            Throws.ArgumentException.With.Message.Contains("dUp is [8], expected [2, any]")
        );
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}
