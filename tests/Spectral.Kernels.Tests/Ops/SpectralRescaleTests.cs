using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SpectralRescaleTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void MiddleHoldsTheDirectionsThenTheScale(
        [Values(0, 1, 7, 130)] int directions,
        [Values(0, 1, 16)] int extra
    )
    {
        Tensor sigma = Input(directions, DType.F32, out double[] sigmas);
        Tensor delta = Input(directions, DType.F32, out double[] deltas);
        Tensor middle = Output(directions + extra);
        SpectralRescale.Middle(sigma, delta, 2, middle);
        Verify(middle, [.. sigmas.Zip(deltas, (s, d) => s * d), .. Enumerable.Repeat(2.0, extra)]);
    }

    [Test]
    public void DeltaGradientIsTheMiddleGradientTimesSigma([Values(1, 7, 130)] int directions)
    {
        Tensor sigma = Input(directions, DType.F32, out double[] sigmas);
        Tensor dMiddle = Input(directions, DType.F32, out double[] middles);
        Tensor dDelta = Output(directions);
        SpectralRescale.DeltaGradient(dMiddle, sigma, dDelta);
        double[] once = sigmas.Zip(middles, (s, d) => s * d).ToArray();
        Verify(dDelta, once);
        SpectralRescale.DeltaGradient(dMiddle, sigma, dDelta, accumulate: true);
        Verify(dDelta, Array.ConvertAll(once, value => 2 * value));
        SpectralRescale.DeltaGradient(dMiddle, sigma, dMiddle);
        Verify(dMiddle, once, what: "in place");
    }

    [Test]
    public void RescalingThroughTheLinearOpHasTheGradientOfItsDifferences()
    {
        const int m = 5;
        const int n = 6;
        const int k = 7;
        const int directions = 3;
        const int rank = 2;
        Tensor x = Input((m, k), DType.F32, out _);
        Tensor weight = Input((n, k), DType.F32, out _);
        Tensor left = Input((n, directions + rank), DType.F32, out _);
        Tensor right = Input((directions + rank, k), DType.F32, out _);
        Tensor sigma = Input(directions, DType.F32, out _, mean: 3);
        Tensor dy = Input((m, n), DType.F32, out double[] dys);
        Tensor delta = Input(directions, DType.F32, out double[] deltas);
        Tensor y = Output((m, n));
        Tensor z = Output((m, directions + rank));
        Tensor middle = Output(directions + rank);
        double Loss(int at, double step)
        {
            float[] moved = Array.ConvertAll(deltas, value => (float)value);
            moved[at] += (float)step;
            delta.CopyFrom(moved);
            SpectralRescale.Middle(sigma, delta, 2, middle);
            LowRankLinear.Forward(x, weight, null, new LowRankFactors(left, middle, right), y, z);
            return y.ToArray().Select((value, i) => value * dys[i]).Sum();
        }
        // The loss is linear in each entry, so the step may be large: only F32 rounding of y is left.
        double[] differences = Enumerable.Range(0, directions).Select(i => (Loss(i, 1) - Loss(i, -1)) / 2).ToArray();

        Loss(0, 0);
        Tensor dMiddle = Output(directions);
        Tensor dDelta = Output(directions);
        LowRankLinear.Backward(
            null,
            weight,
            new LowRankFactors(left, middle, right),
            z,
            dy,
            null,
            new LowRankGradients(Middle: dMiddle)
        );
        SpectralRescale.DeltaGradient(dMiddle, sigma, dDelta);
        double[] magnitude = Enumerable
            .Repeat(y.ToArray().Select((value, i) => Math.Abs(value * dys[i])).Sum() + 100, directions)
            .ToArray();
        Verify(dDelta, differences, magnitude, m * n, "dδ");
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        Tensor three = Output(3);
        Tensor two = Output(2);
        Tensor half = Output(3, DType.BF16);
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
                    .And.Message.Contains("expected")
            );
        Names("sigma", () => SpectralRescale.Middle(half, three, 1, three));
        Names("delta", () => SpectralRescale.Middle(three, two, 1, three));
        Names("middle", () => SpectralRescale.Middle(three, three, 1, two));
        Names("middleGradient", () => SpectralRescale.DeltaGradient(two, three, three));
        Names("deltaGradient", () => SpectralRescale.DeltaGradient(three, three, two));
    }
}
