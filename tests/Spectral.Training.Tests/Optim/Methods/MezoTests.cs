using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>Steps by measured losses: MeZO and evolution strategies.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MezoTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Count = 8;
    private const double Size = 0.01;

    private static readonly double[] Curvatures = [.. Enumerable.Range(0, Count).Select(i => 1.0 + i % 3)];

    [Test]
    public void FollowsItsFormula()
    {
        using ParameterSet parameters = new(Device, [("a", Count)], rates: [2]);
        AdamWOptions options = new() { WeightDecay = 0.1 };
        Dictionary<string, double> settings = new() { ["perturbation"] = Size };
        using Optimizer optimizer = OptimizerMethods.Find("mezo").Create(parameters, options, settings);
        double[] values = Start(parameters);
        for (int step = 0; step < 20; step++)
        {
            double rate = 0.02 / (step + 1);
            double[] z = Direction(step, member: 0);
            double slope = (Loss(Moved(values, z, Size)) - Loss(Moved(values, z, -Size))) / (2 * Size);
            values = [.. values.Select((value, i) => value * (1 - 2 * rate * 0.1) - 2 * rate * slope * z[i])];
            Step(optimizer, rate);
            // A rounding of a loss of about 10 in F32 is a slope of 1e-4.
            Assert.That(parameters.Parameters[0].Master.ToArray(), Is.EqualTo(values).Within(1e-4), $"step {step + 1}");
        }
    }

    [Test]
    public void EvolutionFollowsItsFormula()
    {
        const int Members = 5;
        using ParameterSet parameters = new(Device, [("a", Count)], rates: [2]);
        AdamWOptions options = new() { WeightDecay = 0.1 };
        Dictionary<string, double> settings = new() { ["population"] = Members, ["deviation"] = 0.3 };
        using Optimizer optimizer = OptimizerMethods.Find("es").Create(parameters, options, settings);
        double[] values = Start(parameters);
        for (int step = 0; step < 20; step++)
        {
            double rate = 0.02 / (step + 1);
            double[][] z = [.. Enumerable.Range(0, Members).Select(member => Direction(step, member))];
            double[] rewards = [.. z.Select(direction => -Loss(Moved(values, direction, 0.3)))];
            double mean = rewards.Average();
            double deviation = Math.Sqrt(rewards.Average(reward => Math.Pow(reward - mean, 2)));
            double[] sum =
            [
                .. Enumerable
                    .Range(0, Count)
                    .Select(i => z.Select((d, m) => (rewards[m] - mean) / deviation * d[i]).Sum()),
            ];
            values =
            [
                .. values.Select((value, i) => value * (1 - 2 * rate * 0.1) + 2 * rate / (Members * 0.3) * sum[i]),
            ];
            Step(optimizer, rate);
            Assert.That(parameters.Parameters[0].Master.ToArray(), Is.EqualTo(values).Within(2e-5), $"step {step + 1}");
        }
    }

    /// <summary>The mean over directions of the slope times the direction is the gradient.</summary>
    [Test]
    public void ItsEstimateIsTheGradientOnAverage()
    {
        const int Steps = 3000;
        using ParameterSet parameters = new(Device, [("a", Count)]);
        using Optimizer optimizer = OptimizerMethods
            .Find("mezo")
            .Create(parameters, new AdamWOptions { WeightDecay = 0 });
        double[] values = Start(parameters);
        float[] start = parameters.Masters[0].ToArray();
        double[] mean = new double[Count];
        for (int step = 0; step < Steps; step++)
        {
            Step(optimizer, 1);
            float[] after = parameters.Parameters[0].Master.ToArray();
            for (int i = 0; i < Count; i++)
                mean[i] += (values[i] - after[i]) / Steps;
            parameters.Masters[0].CopyFrom(start);
        }

        double[] gradient = [.. values.Select((value, i) => Curvatures[i] * value)];
        // Five deviations: each of the estimates deviates by less than √2 times the length of the gradient.
        double length = Math.Sqrt(gradient.Sum(value => value * value));
        Assert.That(mean, Is.EqualTo(gradient).Within(5 * Math.Sqrt(2.0 / Steps) * length));
    }

    /// <summary>
    /// The masters are moved and brought back in F32. Of 1000 steps at rate 0 the roundings add up like those of a
    /// random walk: each addition is off by up to half a unit in the last place of a number below 2, evenly spread.
    /// </summary>
    [TestCase("mezo", 3)]
    [TestCase("es", 6)]
    public void TheMastersReturnUpToRounding(string name, int additions)
    {
        const int Steps = 1000;
        Dictionary<string, double> settings = name == "es" ? new() { ["population"] = 3 } : [];
        using ParameterSet parameters = new(Device, [("a", 4096)]);
        using Optimizer optimizer = OptimizerMethods
            .Find(name)
            .Create(parameters, new AdamWOptions { WeightDecay = 0 }, settings);
        float[] start = [.. Enumerable.Range(0, 4096).Select(i => (float)Math.Sin(i + 1))];
        parameters.Parameters[0].Master.CopyFrom(start);
        optimizer.Configure(0);
        using var losses = Tensor.Zeros(Device, (optimizer.Probes!.Count, 1));
        for (int step = 0; step < Steps; step++)
        {
            for (int probe = 0; probe < optimizer.Probes.Count; probe++)
                optimizer.Probes.Begin(probe);
            optimizer.Probes.End();
            optimizer.Update(losses);
        }

        float[] end = parameters.Parameters[0].Master.ToArray();
        double drift = Math.Sqrt(end.Zip(start, (to, from) => Math.Pow(to - from, 2)).Average());
        TestContext.Out.WriteLine($"{name}: root mean square drift {drift:G3} after {Steps} steps");
        double ofOne = Math.Pow(2, -24) / Math.Sqrt(3);
        Assert.That(drift, Is.GreaterThan(0).And.LessThan(ofOne * Math.Sqrt(additions * Steps)));
    }

    /// <summary>Beside forward there are a few numbers.</summary>
    [TestCase("mezo")]
    [TestCase("es")]
    public void AStepTakesTheMemoryOfForward(string name)
    {
        EncodedRecord[] records = TinyModels.Records(4, TinyModels.Llama, new Random(31));
        var batch = Batch.Create(records, 0);
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 4 });
        TrainerOptions options = new() { Steps = 2, OptimizerChoice = new OptimizerChoice(name) };
        long before = Device.Memory.InUse;
        using Trainer trainer = new(model, options);
        trainer.Step(1, [batch], 1e-4);
        long forward = Peak(() =>
        {
            using BatchTensors tensors = new(Device, batch);
            using Spectral.Training.Autograd.Tape tape = new(Device, records: false);
            using Tensor loss = model.Loss(tape, tensors, 1);
        });
        long step = Peak(() => trainer.Step(2, [batch], 1e-4));
        TestContext.Out.WriteLine($"{name}: peak of a step {step} bytes, of forward {forward}");
        Assert.That(step - forward, Is.LessThanOrEqualTo(1024), "a step, beside what the optimizer holds");
        // A copy of the 28 factors would take 28 blocks of 512 bytes and more.
        Assert.That(Device.Memory.InUse - before, Is.LessThanOrEqualTo(6144), "what the optimizer holds");
    }

    [TestCase("mezo")]
    [TestCase("es")]
    public void DropoutIsRefused(string name)
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        AdapterOptions dropping = new() { Rank = 2, Dropout = 0.1 };
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), dropping);
        TrainerOptions options = new() { Steps = 1, OptimizerChoice = new OptimizerChoice(name) };
        Assert.That(
            () => new Trainer(model, options),
            Throws.TypeOf<InputException>().With.Message.Contains($"{name} measures losses without dropout")
        );
    }

    [Test]
    public void APenaltyIsRefused()
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("orthoreg"), new AdapterOptions { Rank = 2 });
        TrainerOptions options = new() { Steps = 1, OptimizerChoice = new OptimizerChoice("mezo") };
        Assert.That(
            () => new Trainer(model, options),
            Throws.TypeOf<InputException>().With.Message.Contains("adds a penalty to the gradients")
        );
    }

    private long Peak(Action run)
    {
        Device.Memory.ResetPeak();
        long before = Device.Memory.InUse;
        run();
        return Device.Memory.Peak - before;
    }

    private static double[] Start(ParameterSet parameters)
    {
        float[] values = [.. Enumerable.Range(0, Count).Select(i => (float)Math.Sin(i + 1))];
        parameters.Parameters[0].Master.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }

    private static double Loss(IEnumerable<double> values) =>
        values.Select((value, i) => Curvatures[i] / 2 * value * value).Sum();

    private static double[] Moved(double[] values, double[] direction, double size) =>
        [.. values.Select((value, i) => value + size * direction[i])];

    /// <summary>The direction that a step takes: its numbers have tests of their own.</summary>
    private double[] Direction(int step, int member)
    {
        using StepState state = new(Device);
        state.SetSteps(step);
        using var zero = Tensor.Zeros(Device, Count);
        RandomSearch.Perturb(zero, 1, member, 0, state, zero);
        return Array.ConvertAll(zero.ToArray(), value => (double)value);
    }

    private void Step(Optimizer optimizer, double rate)
    {
        optimizer.Configure(rate);
        LossProbes probes = optimizer.Probes!;
        float[] losses = new float[probes.Count];
        for (int probe = 0; probe < losses.Length; probe++)
        {
            probes.Begin(probe);
            float[] values = optimizer.Parameters.Parameters[0].Master.ToArray();
            losses[probe] = (float)Loss(values.Select(value => (double)value));
        }

        probes.End();
        using var measured = Tensor.From(Device, losses, (losses.Length, 1));
        optimizer.Update(measured);
    }
}
