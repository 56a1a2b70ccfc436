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
            StepResult result = optimizer.Step(rate);
            Assert.That(result.GradientNorm, Is.EqualTo(norm).Within(1e-6 * norm));
            Assert.That(result.Skipped, Is.False);
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
    public void AStepClipsByItsOwnNorm()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("a", 4)]));
        using AdamWOptimizer optimizer = new(parameters, new AdamWOptions { GradientClip = 1 });
        parameters.Parameters[0].Gradient!.CopyFrom(new float[] { 1e-3f, 0, 0, 0 });
        optimizer.GradientNorm();
        parameters.Parameters[0].Gradient!.CopyFrom(new float[] { 30, 40, 0, 0 });
        Assert.That(optimizer.Step(0.1).GradientNorm, Is.EqualTo(50).Within(1e-4));
        Assert.That(optimizer.FirstMoments[0].ToArray()[..2], Is.EqualTo(new[] { 0.06f, 0.08f }).Within(1e-6f));
    }

    [Test]
    public void AStepOfGradientsThatAreNotFiniteIsSkippedAndForgotten()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("a", 2)]));
        using AdamWOptimizer optimizer = new(parameters, new AdamWOptions());
        float[] before = parameters.Parameters[0].Master.ToArray();
        parameters.Parameters[0].Gradient!.CopyFrom(new float[] { float.NaN, 1 });
        StepResult result = optimizer.Step(0.1);
        Assert.That(result.Skipped, Is.True);
        Assert.That(float.IsFinite((float)result.GradientNorm), Is.False);
        Assert.That(parameters.Parameters[0].Master.ToArray(), Is.EqualTo(before));
        Assert.That(parameters.Parameters[0].Gradient!.ToArray(), Is.All.Zero);
        Assert.That(parameters.StepState.Read().Steps, Is.Zero);
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
