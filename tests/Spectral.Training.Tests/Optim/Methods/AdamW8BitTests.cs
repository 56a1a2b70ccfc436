using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdamW8BitTests(DeviceKind kind) : ReferenceTest(kind)
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;

    /// <summary>Parameters below 4096 values are AdamW's to the tolerance of AdamW itself.</summary>
    [Test]
    public void SmallTensorsFollowAdamW([Values(0.0, 0.5)] double clip) =>
        Follow(
            "adamw8bit",
            new AdamWOptions { WeightDecay = Decay, GradientClip = clip },
            null,
            shape => References.AdamW(shape, Decay)
        );

    /// <summary>
    /// The formula in double precision, with the same codes. Each step begins with the moments that are stored, as a
    /// number near the middle between two codes may go either way; the masters go on from step to step.
    /// </summary>
    [Test]
    public void LargeTensorsFollowTheFormulaWithTheirCodes()
    {
        Shape shape = (67, 64);
        ParameterSet parameters = Keep(new ParameterSet(Device, [("small", 9), ("large", shape)], rates: [1, 2]));
        using Optimizer optimizer = OptimizerMethods
            .Find("adamw8bit")
            .Create(parameters, new AdamWOptions { WeightDecay = Decay, GradientClip = 0 });
        Parameter large = parameters.Parameters[1];
        Random random = new(7);
        double[] values = Fill(large.Master, random);
        for (int step = 1; step <= 20; step++)
        {
            double rate = 0.02 / step;
            double[] first = Stored(optimizer, "first_moment", isSigned: true).Numbers;
            double[] second = Stored(optimizer, "second_moment", isSigned: false).Numbers;
            double[] gradient = Fill(large.Gradient!, random);
            optimizer.Step(rate);
            for (int i = 0; i < values.Length; i++)
            {
                first[i] = Beta1 * first[i] + (1 - Beta1) * gradient[i];
                second[i] = Beta2 * second[i] + (1 - Beta2) * gradient[i] * gradient[i];
                double mean = first[i] / (1 - Math.Pow(Beta1, step));
                double square = second[i] / (1 - Math.Pow(Beta2, step));
                values[i] = values[i] * (1 - 2 * rate * Decay) - 2 * rate * mean / (Math.Sqrt(square) + 1e-8);
            }

            Assert.That(large.Master.ToArray(), Is.EqualTo(values).Within(5e-6), $"after step {step}");
            (double[] m, float[] mMost) = Stored(optimizer, "first_moment", isSigned: true);
            Assert.That(DynamicCodes.FirstWrong(first, m, mMost, isSigned: true), Is.EqualTo(-1), $"m of {step}");
            (double[] v, float[] vMost) = Stored(optimizer, "second_moment", isSigned: false);
            Assert.That(DynamicCodes.FirstWrong(second, v, vMost, isSigned: false), Is.EqualTo(-1), $"v of {step}");
        }
    }

    /// <summary>½ Σ (θ − a)², with AdamW's own test and bound but codes in place of moments.</summary>
    [Test]
    public void ALargeTensorFindsTheMinimumOfAQuadratic()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("large", (64, 65))]));
        using Optimizer optimizer = OptimizerMethods
            .Find("adamw8bit")
            .Create(parameters, new AdamWOptions { WeightDecay = 0, GradientClip = 0 });
        Parameter large = parameters.Parameters[0];
        double[] best = Fill(large.Master, new Random(3));
        large.Master.Clear();
        for (int step = 0; step < 300; step++)
        {
            large.Gradient!.CopyFrom([.. large.Master.ToArray().Zip(best, (value, at) => (float)(value - at))]);
            optimizer.Step(0.05 * (1 - step / 300.0));
        }

        Assert.That(large.Master.ToArray(), Is.EqualTo(best).Within(0.01));
    }

    [Test]
    public void ItsStateIsTwoBytesAndAThirtySecond()
    {
        OptimizerMethod method = OptimizerMethods.Find("adamw8bit");
        Dictionary<string, double> none = [];
        Assert.That(method.StateBytes((64, 64), none), Is.EqualTo(2 * 4096 + 8 * 4096 / 256));
        Assert.That(method.StateBytes((63, 65), none), Is.EqualTo(8 * 4095), "below the size of bitsandbytes");
    }

    private static (double[] Numbers, float[] Most) Stored(Optimizer optimizer, string name, bool isSigned)
    {
        using Tensor codes = optimizer.States.Single(state => state.Name == $"{name}_codes.large").Open();
        using Tensor most = optimizer.States.Single(state => state.Name == $"{name}_most.large").Open();
        float[] largest = most.ToArray();
        return (DynamicCodes.Decode(codes.ToInt32Array(), largest, 67 * 64, isSigned), largest);
    }
}
