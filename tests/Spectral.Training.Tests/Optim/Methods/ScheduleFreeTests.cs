using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>
/// The reference keeps the average x itself, as the paper writes it, where the optimizer only keeps y and z: x ← (1−c)x
/// + cz, y = β₁x + (1−β₁)z.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ScheduleFreeTests(DeviceKind kind) : ReferenceTest(kind)
{
    [Test]
    public void TrainsAtYAndIsEvaluatedAtX([Values(0.0, 0.5)] double clip)
    {
        const double Beta = 0.8;
        AdamWOptions options = new()
        {
            Beta1 = Beta,
            WeightDecay = Decay,
            GradientClip = clip,
        };
        List<double[]> averages = [];
        Follow("schedule-free-adamw", options, null, Averaging, within: 5e-6, look: CompareAverages);

        Formula Averaging(Shape shape)
        {
            double[] x = [];
            double[] z = [];
            double[] second = new double[shape.Count];
            double top = 0;
            double sum = 0;
            int place = averages.Count;
            averages.Add(x);
            return (y, gradient, step, rate) =>
            {
                if (step == 1)
                    (x, z) = ([.. y], [.. y]);
                top = Math.Max(top, rate);
                sum += top * top;
                double share = top * top / sum;
                for (int i = 0; i < y.Length; i++)
                {
                    second[i] = 0.999 * second[i] + 0.001 * gradient[i] * gradient[i];
                    double root = Math.Sqrt(second[i] / (1 - Math.Pow(0.999, step))) + 1e-8;
                    z[i] -= rate * (gradient[i] / root + Decay * y[i]);
                    x[i] = (1 - share) * x[i] + share * z[i];
                    y[i] = Beta * x[i] + (1 - Beta) * z[i];
                }

                averages[place] = x;
            };
        }

        void CompareAverages(Optimizer optimizer)
        {
            float[][] trained = Masters(optimizer);
            using (optimizer.UseAverage())
            {
                foreach ((float[] found, double[] x) in Masters(optimizer).Zip(averages))
                    Assert.That(found, Is.EqualTo(x).Within(5e-6));
            }

            Assert.That(Masters(optimizer), Is.EqualTo(trained), "what trains comes back bit for bit");
        }
    }

    [Test]
    public void BeforeTheFirstStepTheAverageIsWhatTrains()
    {
        using ParameterSet parameters = new(Device, [("a", 3)]);
        using Optimizer optimizer = OptimizerMethods.Find("schedule-free-adamw").Create(parameters, new AdamWOptions());
        parameters.Parameters[0].Master.CopyFrom([1f, 2f, 3f]);
        using IDisposable? average = optimizer.UseAverage();
        Assert.That(average, Is.Not.Null);
        Assert.That(parameters.Parameters[0].Master.ToArray(), Is.EqualTo(new[] { 1f, 2f, 3f }));
    }

    [Test]
    public void WhatDoesNotGoTogetherIsRefused()
    {
        TrainerOptions options = new() { OptimizerChoice = new OptimizerChoice("schedule-free-adamw"), EmaDecay = 0.9 };
        Assert.That(
            () => options.RequireSuits(null),
            Throws.TypeOf<InputException>().With.Message.Contains("keeps an average itself: expected no --ema")
        );
        options = options with
        {
            EmaDecay = null,
            Optimizer = new AdamWOptions { Beta1 = 0 },
        };
        Assert.That(
            () => options.RequireSuits(null),
            Throws.TypeOf<InputException>().With.Message.Contains("a share of the average in y above 0")
        );
    }

    private static float[][] Masters(Optimizer optimizer) =>
        [.. optimizer.Parameters.Parameters.Select(parameter => parameter.Master.ToArray())];
}
