using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LionTests(DeviceKind kind) : ReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormula([Values(0.0, 0.5)] double clip)
    {
        AdamWOptions options = new()
        {
            Beta1 = 0.9,
            Beta2 = 0.99,
            WeightDecay = Decay,
            GradientClip = clip,
        };
        Follow("lion", options, null, Signs);

        static Formula Signs(Shape shape)
        {
            double[] mean = new double[shape.Count];
            return (values, gradient, _, rate) =>
            {
                for (int i = 0; i < values.Length; i++)
                {
                    double sign = Math.Sign(0.9 * mean[i] + 0.1 * gradient[i]);
                    values[i] = values[i] * (1 - rate * Decay) - rate * sign;
                    mean[i] = 0.99 * mean[i] + 0.01 * gradient[i];
                }
            };
        }
    }
}
