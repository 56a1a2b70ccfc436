using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdafactorTests(DeviceKind kind) : ReferenceTest(kind)
{
    [TestCase(0.0, 1.0)]
    [TestCase(0.5, 1.0)]
    [TestCase(0.0, 0.3)]
    public void FollowsItsFormula(double clip, double threshold)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        Dictionary<string, double> settings = new() { ["clip-threshold"] = threshold };
        Follow("adafactor", options, settings, Factored);

        Formula Factored(Shape shape)
        {
            bool isMatrix = shape.Rank == 2 && shape[0] > 1;
            (int rows, int columns) = isMatrix ? (shape[0], shape[1]) : (1, (int)shape.Count);
            double[] row = new double[rows];
            double[] column = new double[columns];
            return (values, gradient, step, rate) =>
            {
                double beta = 1 - Math.Pow(step, -0.8);
                double[] squares = [.. gradient.Select(g => g * g + 1e-30)];
                for (int i = 0; i < rows; i++)
                    row[i] = beta * row[i] + (1 - beta) * squares.Skip(i * columns).Take(columns).Average();
                for (int j = 0; j < columns; j++)
                {
                    double mean = Enumerable.Range(0, rows).Average(i => squares[i * columns + j]);
                    column[j] = beta * column[j] + (1 - beta) * mean;
                }

                double[] direction = new double[values.Length];
                for (int k = 0; k < values.Length; k++)
                {
                    double moment = isMatrix ? row[k / columns] * column[k % columns] / row.Average() : column[k];
                    direction[k] = gradient[k] / Math.Sqrt(moment);
                }

                double rms = Math.Sqrt(direction.Average(value => value * value));
                for (int k = 0; k < values.Length; k++)
                    values[k] = values[k] * (1 - rate * Decay) - rate * direction[k] / Math.Max(1, rms / threshold);
            };
        }
    }
}
