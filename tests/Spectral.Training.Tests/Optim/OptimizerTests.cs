using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OptimizerTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void FollowsAdamWInDouble([Values(0.0, 0.5)] double clip)
    {
        AdamWOptions options = new() { WeightDecay = 0.1, GradientClip = clip };
        ParameterSet parameters = Keep(new ParameterSet(Device, [("a", (3, 5)), ("b", 7)]));
        using AdamWOptimizer optimizer = new(parameters, options);
        Random random = new(2);
        double[][] values = [.. parameters.Parameters.Select(parameter => Fill(parameter.Master, random))];
        double[][] first = [.. values.Select(value => new double[value.Length])];
        double[][] second = [.. values.Select(value => new double[value.Length])];
        for (int step = 1; step <= 5; step++)
        {
            double rate = 0.01 * step;
            double[][] gradients = [.. parameters.Parameters.Select(parameter => Fill(parameter.Gradient!, random))];
            double norm = Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => value * value)));
            Assert.That(optimizer.GradientNorm(), Is.EqualTo(norm).Within(1e-6 * norm));
            optimizer.Step(rate);
            double factor = clip > 0 ? Math.Min(1, clip / (norm + 1e-6)) : 1;
            for (int p = 0; p < values.Length; p++)
            {
                for (int i = 0; i < values[p].Length; i++)
                {
                    double g = factor * gradients[p][i];
                    first[p][i] = 0.9 * first[p][i] + 0.1 * g;
                    second[p][i] = 0.999 * second[p][i] + 0.001 * g * g;
                    double m = first[p][i] / (1 - Math.Pow(0.9, step));
                    double v = second[p][i] / (1 - Math.Pow(0.999, step));
                    values[p][i] -= rate * 0.1 * values[p][i];
                    values[p][i] -= rate * m / (Math.Sqrt(v) + 1e-8);
                }
            }

            for (int p = 0; p < values.Length; p++)
            {
                Assert.That(
                    parameters.Parameters[p].Master.ToArray(),
                    Is.EqualTo(values[p]).Within(2e-6),
                    $"{parameters.Parameters[p].Name} after step {step}"
                );
                Assert.That(parameters.Parameters[p].Gradient!.ToArray(), Is.All.Zero, "gradients are cleared");
            }
        }
    }

    [Test]
    public void ParametersDoNotOverlapAndAreRoundedToTheComputeType()
    {
        ParameterSet parameters = Keep(
            new ParameterSet(Device, [("a", (3, 5)), ("b", 100), ("c", (1, 1))], DType.BF16)
        );
        foreach ((Parameter parameter, int i) in parameters.Parameters.Select((parameter, i) => (parameter, i)))
            parameter.Master.CopyFrom([.. Enumerable.Repeat(1.001f * (i + 1), (int)parameter.Master.Count)]);
        parameters.NotifyChanged();
        foreach ((Parameter parameter, int i) in parameters.Parameters.Select((parameter, i) => (parameter, i)))
        {
            Assert.That(parameter.Master.ToArray(), Is.All.EqualTo(1.001f * (i + 1)));
            Assert.That(parameter.Value.ToArray(), Is.All.EqualTo(BFloat16.Round(1.001f * (i + 1))));
        }
        Assert.That(parameters.Count, Is.EqualTo(116));
    }

    private static double[] Fill(Tensor tensor, Random random)
    {
        float[] values = [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => (float)(2 * random.NextDouble() - 1))];
        tensor.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }
}
