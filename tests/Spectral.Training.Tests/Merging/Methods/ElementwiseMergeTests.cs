using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Merging;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Methods that treat every entry alike, against their formulas in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ElementwiseMergeTests(DeviceKind kind) : MergeTest(kind)
{
    [Test]
    public void LinearAddsWeightedChanges()
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.5), Tuned(2, weight: -0.25), Tuned(3)];
        double[] weights = [0.5, -0.25, 1];
        Verify(
            Merge("linear", null, inputs),
            inputs,
            (_, theta, changes) => Entries(theta, i => theta[i] + Sum(weights, (w, j) => w * changes[j][i]))
        );
    }

    [TestCase(0, 0.37)]
    [TestCase(1, 0.37)]
    public void SlerpGoesAlongTheArcBetweenWholeWeights(int second, double t)
    {
        MergeInput[] inputs = [Tuned(1, 2), Tuned(2, 2)];
        Verify(
            Merge("slerp", With(("t", second + ((1 - (2 * second)) * t))), inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[] a = Entries(theta, i => theta[i] + changes[second][i]);
                double[] b = Entries(theta, i => theta[i] + changes[1 - second][i]);
                double angle = Math.Acos(Dot(a, b) / Math.Sqrt(Dot(a, a) * Dot(b, b)));
                return Entries(
                    theta,
                    i => (Math.Sin((1 - t) * angle) * a[i] + Math.Sin(t * angle) * b[i]) / Math.Sin(angle)
                );
            }
        );
    }

    [Test]
    public void SlerpOfTheSameWeightsIsALine()
    {
        MergeInput input = Tuned(1);
        Verify(
            Merge("slerp", With(("t", 0.3)), input, input),
            [input],
            (_, theta, changes) => Entries(theta, i => theta[i] + changes[0][i]),
            1e-7
        );
    }

    internal static double[] Entries(double[] like, Func<int, double> value) =>
        [.. Enumerable.Range(0, like.Length).Select(value)];

    internal static double Sum(double[] weights, Func<double, int, double> term) => weights.Select(term).Sum();

    internal static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}
