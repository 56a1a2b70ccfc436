using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SgdTests(DeviceKind kind) : ReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormula([Values(0.0, 0.5)] double clip, [Values(0.0, 0.9)] double momentum)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        Dictionary<string, double> settings = new() { ["momentum"] = momentum };
        Follow("sgd", options, settings, Descent);

        Formula Descent(Shape shape)
        {
            double[] sum = new double[shape.Count];
            return (values, gradient, step, rate) =>
            {
                for (int i = 0; i < values.Length; i++)
                {
                    sum[i] = step == 1 ? gradient[i] : momentum * sum[i] + gradient[i];
                    values[i] = values[i] * (1 - rate * Decay) - rate * sum[i];
                }
            };
        }
    }
}
