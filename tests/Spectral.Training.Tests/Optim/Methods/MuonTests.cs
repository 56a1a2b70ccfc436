using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MuonTests(DeviceKind kind) : ReferenceTest(kind)
{
    private const double Momentum = 0.95;

    [TestCase("rms", 0.0)]
    [TestCase("rms", 0.5)]
    [TestCase("aspect", 0.0)]
    public void FollowsItsFormula(string scale, double clip)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        Dictionary<string, double> settings = new() { ["scale"] = scale == "rms" ? 0 : 1 };
        Follow(
            "muon",
            options,
            settings,
            shape => shape.Rank == 2 && shape[0] > 1 ? Orthogonal(shape, scale) : References.AdamW(shape, Decay),
            within: 2e-5 // five steps multiply the rounding errors of small singular values by up to 485
        );
    }

    private static Formula Orthogonal(Shape shape, string scale)
    {
        (int rows, int columns) = (shape[0], shape[1]);
        double factor =
            scale == "rms"
                ? 0.2 * Math.Sqrt(Math.Max(rows, columns))
                : Math.Sqrt(Math.Max(1.0, (double)rows / columns));
        double[] sum = new double[shape.Count];
        return (values, gradient, _, rate) =>
        {
            double[] direction = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                sum[i] = Momentum * sum[i] + gradient[i];
                direction[i] = gradient[i] + Momentum * sum[i];
            }

            double[] step =
                rows > columns
                    ? References.Transpose(
                        References.NewtonSchulz(References.Transpose(direction, rows, columns), columns, rows),
                        columns,
                        rows
                    )
                    : References.NewtonSchulz(direction, rows, columns);
            for (int i = 0; i < values.Length; i++)
                values[i] = values[i] * (1 - rate * Decay) - rate * factor * step[i];
        };
    }
}
