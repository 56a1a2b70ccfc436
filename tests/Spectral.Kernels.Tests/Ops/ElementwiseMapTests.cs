using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ElementwiseMapTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Floor = 0.2f;

    private static readonly Dictionary<
        MapFunction,
        (Func<double, double> Value, Func<double, double> Slope)
    > Functions = new()
    {
        [MapFunction.Reciprocal] = (x => 1 / x, x => -1 / (x * x)),
        [MapFunction.Sqrt] = (x => Math.Sqrt(Math.Max(x, Floor)), x => x > Floor ? 0.5 / Math.Sqrt(x) : 0),
        [MapFunction.Exp] = (Math.Exp, Math.Exp),
        [MapFunction.Max] = (x => Math.Max(x, Floor), x => x > Floor ? 1 : 0),
        [MapFunction.Square] = (x => x * x, x => 2 * x),
        [MapFunction.Sign] = (x => Math.Sign(x), _ => 0),
        [MapFunction.Cos] = (Math.Cos, x => -Math.Sin(x)),
        [MapFunction.Sin] = (Math.Sin, Math.Cos),
    };

    public static readonly MapFunction[] All = Enum.GetValues<MapFunction>();

    [Test]
    public void Applies([ValueSource(nameof(All))] MapFunction function, [ValueSource(nameof(Sizes))] int count)
    {
        Tensor x = Input(count, DType.F32, out double[] values);
        Tensor y = Output(count);
        ElementwiseMap.Forward(x, y, function, Floor);
        Verify(y, Array.ConvertAll(values, value => Functions[function].Value(value)));
        ElementwiseMap.Forward(x, x, function, Floor);
        Assert.That(x.ToArray(), Is.EqualTo(y.ToArray()), "in place");
    }

    [Test]
    public void PassesGradientsBack(
        [ValueSource(nameof(All))] MapFunction function,
        [ValueSource(nameof(Sizes))] int count
    )
    {
        Tensor x = Input(count, DType.F32, out double[] values);
        Tensor dy = Input(count, DType.F32, out double[] upstream);
        Tensor dx = Output(count);
        Tensor sum = Input(count, DType.F32, out double[] before);
        double[] expected = values
            .Zip(upstream, (value, gradient) => gradient * Functions[function].Slope(value))
            .ToArray();

        ElementwiseMap.Backward(x, dy, dx, function, Floor);
        ElementwiseMap.Backward(x, dy, sum, function, Floor, accumulate: true);

        Verify(dx, expected);
        Verify(
            sum,
            expected.Zip(before, (e, b) => e + b).ToArray(),
            expected.Zip(before, (e, b) => Math.Abs(e) + Math.Abs(b)).ToArray()
        );
        ElementwiseMap.Backward(x, dy, dy, function, Floor);
        Assert.That(dy.ToArray(), Is.EqualTo(dx.ToArray()), "in place");
    }

    /// <summary>The slope of the reference against differences of its value: the table above is itself right.</summary>
    [Test]
    public void TheSlopesAreThoseOfTheValues([ValueSource(nameof(All))] MapFunction function)
    {
        (Func<double, double> value, Func<double, double> slope) = Functions[function];
        foreach (double x in new[] { -1.3, 0.1, 0.7, 2.5 })
            Assert.That(slope(x), Is.EqualTo((value(x + 1e-5) - value(x - 1e-5)) / 2e-5).Within(1e-5), $"at {x}");
    }

    [Test]
    public void EdgesAreAsStated()
    {
        Tensor x = Input([0, float.NaN, -1, float.PositiveInfinity], 4, DType.F32, out _);
        Tensor ones = Input([1f, 1, 1, 1], 4, DType.F32, out _);
        Tensor y = Output(4);
        Assert.Multiple(() =>
        {
            Assert.That(
                Forward(MapFunction.Reciprocal),
                Is.EqualTo(new[] { float.PositiveInfinity, float.NaN, -1, 0 })
            );
            Assert.That(Forward(MapFunction.Sqrt), Is.EqualTo(new[] { 0, float.NaN, 0, float.PositiveInfinity }));
            Assert.That(
                Forward(MapFunction.Exp),
                Is.EqualTo(new[] { 1, float.NaN, (float)Math.Exp(-1), float.PositiveInfinity }).Within(1).Ulps
            );
            Assert.That(Forward(MapFunction.Max), Is.EqualTo(new[] { 0, float.NaN, 0, float.PositiveInfinity }));
            Assert.That(Forward(MapFunction.Sign), Is.EqualTo(new[] { 0, float.NaN, -1, 1 }));
            Assert.That(
                Forward(MapFunction.Cos),
                Is.EqualTo(new[] { 1, float.NaN, (float)Math.Cos(-1), float.NaN }).Within(2).Ulps
            );
            Assert.That(
                Forward(MapFunction.Sin),
                Is.EqualTo(new[] { 0, float.NaN, (float)Math.Sin(-1), float.NaN }).Within(2).Ulps
            );
            Assert.That(Backward(MapFunction.Sqrt), Is.EqualTo(new float[] { 0, 0, 0, 0 }));
            Assert.That(Backward(MapFunction.Max), Is.EqualTo(new float[] { 0, 0, 0, 1 }));
        });

        float[] Forward(MapFunction function)
        {
            ElementwiseMap.Forward(x, y, function);
            return y.ToArray();
        }

        float[] Backward(MapFunction function)
        {
            ElementwiseMap.Backward(x, ones, y, function);
            return y.ToArray();
        }
    }

    [Test]
    public void NothingToDo() => ElementwiseMap.Forward(Output(0), Output(0), MapFunction.Exp);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output(4);
        Assert.That(
            () => ElementwiseMap.Forward(x, Output(2), MapFunction.Exp),
            Throws.ArgumentException.With.Message.Contains("y is [2], expected [4]")
        );
        Assert.That(
            () => ElementwiseMap.Backward(x, Output(2), x, MapFunction.Exp),
            Throws.ArgumentException.With.Message.Contains("dy is [2], expected [4]")
        );
        Assert.That(
            () => ElementwiseMap.Backward(x, x, Output(4, DType.BF16), MapFunction.Exp),
            Throws.ArgumentException.With.Message.Contains("dx is BF16, expected F32")
        );
        Assert.That(() => ElementwiseMap.Forward(x, x, (MapFunction)99), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
