using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class Muon8BitTests(DeviceKind kind) : ReferenceTest(kind)
{
    private const double Momentum = 0.95;

    /// <summary>
    /// The formula in double precision. A step begins with the momentum that is stored, as a number near the middle
    /// between two codes may go either way; the masters go on from step to step.
    /// </summary>
    [TestCase(0.0)]
    [TestCase(0.5)]
    public void FollowsItsFormula(double clip)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        List<double[]> sums = [];
        Follow(
            "muon8bit",
            options,
            null,
            shape => shape.Rank == 2 && shape[0] > 1 ? Orthogonal(shape) : References.AdamW(shape, Decay),
            within: 2e-5, // five steps multiply the rounding errors of small singular values by up to 485
            look: trained =>
            {
                foreach ((string name, double[] sum) in Matrices().Zip(sums))
                    Stored(trained, name, sum);
            }
        );
        Assert.That(sums, Has.Count.EqualTo(Matrices().Count()));

        Formula Orthogonal(Shape shape)
        {
            (int rows, int columns) = (shape[0], shape[1]);
            double factor = 0.2 * Math.Sqrt(Math.Max(rows, columns));
            double[] sum = new double[shape.Count];
            sums.Add(sum);
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

    private static IEnumerable<string> Matrices() =>
        Shapes
            .Where(parameter => parameter.Shape.Rank == 2 && parameter.Shape[0] > 1)
            .Select(parameter => parameter.Name);

    /// <summary>Checks that the exact momentum is stored to half a code, and replaces it by what is stored.</summary>
    private static void Stored(Optimizer optimizer, string name, double[] sums)
    {
        using Tensor codes = optimizer.States.Single(state => state.Name == $"momentum_codes.{name}").Open();
        using Tensor most = optimizer.States.Single(state => state.Name == $"momentum_most.{name}").Open();
        (int[] words, float largest) = (codes.ToInt32Array(), most.ToArray().Single());
        Assert.That(largest, Is.EqualTo(sums.Max(Math.Abs)).Within(1e-6 * largest), name);
        for (int i = 0; i < sums.Length; i++)
        {
            double stored = (sbyte)(words[i / 4] >> 8 * (i % 4)) / 127.0 * largest;
            Assert.That(stored, Is.EqualTo(sums[i]).Within(largest * (0.5 / 127 + 1e-6)), $"{name} {i}");
            sums[i] = stored;
        }
    }
}
