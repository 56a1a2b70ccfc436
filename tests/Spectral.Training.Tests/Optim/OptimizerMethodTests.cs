using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>What holds for every optimizer: its state, saving, skipped steps, captured steps, convergence.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OptimizerMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly Dictionary<string, double> NoSettings = [];

    private static IEnumerable<string> Names => OptimizerMethods.All.Select(method => method.Name);

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    private static TrainerOptions Options(string name) =>
        new()
        {
            Steps = 6,
            Batch = 3,
            LearningRate = 1e-3,
            LogEvery = 0,
            EvalEvery = 3,
            OptimizerChoice = new OptimizerChoice(name),
        };

    [TestCaseSource(nameof(Names))]
    public void ItsStateTakesTheBytesThatItSays(string name)
    {
        OptimizerMethod method = OptimizerMethods.Find(name);
        foreach (Shape shape in (Shape[])[(64, 8), (8, 96), 64, (1, 128), (128, 64)])
        {
            using ParameterSet parameters = new(Device, [("a", shape)]);
            using Optimizer optimizer = method.Create(parameters, new AdamWOptions());
            Assert.That(optimizer.StateBytes, Is.EqualTo(method.StateBytes(shape, NoSettings)), $"{shape}");
        }
    }

    [TestCaseSource(nameof(Names))]
    public void AResumedRunEndsWithTheSameBits(string name)
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        float[] whole;
        double? evaluated;
        using (CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device))
        using (Trainer trainer = new(model, Options(name)))
        {
            TrainingResult result = trainer.Run(Records, Records, [new Checkpoints(3, () => SaveOnce(trainer, path))]);
            (whole, evaluated) = (Masters(model.Trainable!), result.After?.Loss);
        }

        using CausalLanguageModel other = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer resumed = new(other, Options(name));
        using (var state = TrainerState.Open(path))
            resumed.Restore(state);
        Assert.That(resumed.Progress.Step, Is.EqualTo(3));
        Assert.That(resumed.Run(Records, Records).After?.Loss, Is.EqualTo(evaluated));
        Assert.That(Masters(other.Trainable!), Is.EqualTo(whole));
    }

    [TestCaseSource(nameof(Names))]
    public void ASkippedStepChangesNothing(string name)
    {
        using ParameterSet parameters = new(Device, [("a", (6, 5)), ("b", 7)]);
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, new AdamWOptions());
        Random random = new(1);
        Fill(parameters.Masters, random);
        Fill(parameters.Gradients, random);
        StepOn(optimizer, 0.1, () => random.NextDouble());
        float[] masters = Masters(parameters);
        byte[][] state = State(optimizer);
        Fill(parameters.Gradients, random);
        parameters.Parameters[1].Gradient?.CopyFrom([1f, float.NaN, 1f, 1f, 1f, 1f, 1f]);
        StepOn(optimizer, 0.1, () => double.NaN);
        Assert.That(parameters.StepState.Read().Skipped, Is.True);
        // Masters that were moved to measure losses return up to rounding: 30 directions, two additions each.
        float within = optimizer.Probes is null ? 0 : 60 * MathF.Pow(2, -24);
        Assert.That(Masters(parameters), Is.EqualTo(masters).Within(within));
        Assert.That(State(optimizer), Is.EqualTo(state));
    }

    [TestCaseSource(nameof(Names))]
    public void ACapturedStepGivesTheSameBits(string name)
    {
        OptimizerMethod method = OptimizerMethods.Find(name);
        TrainerOptions captured = Options(name) with { CudaGraph = true };
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        if (method.GraphRefusal is { } refusal)
        {
            Assert.That(
                () => new Trainer(model, captured),
                Throws.TypeOf<InputException>().With.Message.Contains(refusal).And.Message.Contains("--graph")
            );
            return;
        }

        using (Trainer trainer = new(model, captured))
            trainer.Run(Records);
        using CausalLanguageModel other = TinyModels.Trainable(TinyModels.Llama, Device);
        using (Trainer trainer = new(other, captured with { CudaGraph = false, FixedShapes = true }))
            trainer.Run(Records);
        Assert.That(Masters(model.Trainable!), Is.EqualTo(Masters(other.Trainable!)));
    }

    /// <summary>
    /// ½ Σ h (θ − a)² with curvatures h from 1 to 4, at a rate that falls to zero unless an average takes its place.
    /// </summary>
    [TestCaseSource(nameof(Names))]
    public void ItFindsTheMinimumOfAQuadratic(string name)
    {
        (int steps, double highest, Dictionary<string, double> settings) = name switch
        {
            // By losses alone the rate has to be smaller by about the number of values, 29.
            "mezo" => (1500, 0.015, NoSettings),
            "es" => (400, 4e-4, new() { ["population"] = 20, ["deviation"] = 0.005 }),
            // A clipped direction is less even, and needs a longer way at a lower rate.
            "root" => (500, 0.03, NoSettings),
            // A rank below that of the matrix, so that the subspace has to turn.
            "galore" => (
                600,
                0.05,
                new()
                {
                    ["rank"] = 2,
                    ["period"] = 5,
                    ["scale"] = 1,
                }
            ),
            "dct-lowrank" => (600, 0.05, new() { ["rank"] = 2 }),
            _ => (300, 0.05, NoSettings),
        };
        using ParameterSet parameters = new(Device, [("a", (6, 4)), ("b", 5)]);
        using Optimizer optimizer = OptimizerMethods
            .Find(name)
            .Create(parameters, new AdamWOptions { WeightDecay = 0, GradientClip = 0 }, settings);
        Random random = new(5);
        float[][] optimum = [.. parameters.Parameters.Select(parameter => Draw(parameter.Shape.Count, random))];
        for (int step = 0; step < steps; step++)
        {
            foreach ((Parameter parameter, float[] best) in parameters.Parameters.Zip(optimum))
            {
                parameter.Gradient?.CopyFrom([
                    .. parameter.Master.ToArray().Select((value, i) => (1 + i % 4) * (value - best[i])),
                ]);
            }

            double rate = optimizer.Method.KeepsAverage ? 0.1 : highest * (1 - (double)step / steps);
            StepOn(optimizer, rate, Loss);
        }

        using IDisposable? average = optimizer.UseAverage();
        foreach ((Parameter parameter, float[] best) in parameters.Parameters.Zip(optimum))
            Assert.That(parameter.Master.ToArray(), Is.EqualTo(best).Within(0.01f), parameter.Name);

        double Loss() =>
            parameters
                .Parameters.Zip(optimum)
                .Sum(pair =>
                    pair.First.Master.ToArray()
                        .Select((value, i) => (1 + i % 4) / 2.0 * Math.Pow(value - pair.Second[i], 2))
                        .Sum()
                );
    }

    [Test]
    public void TheStateOfAnotherOptimizerIsRefused()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        using ParameterSet parameters = new(Device, [("a", 3)]);
        using (Optimizer sgd = OptimizerMethods.Find("sgd").Create(parameters, new AdamWOptions()))
            TrainerState.Save(path, 0, sgd);
        using var state = TrainerState.Open(path);
        using AdamWOptimizer adamW = new(parameters, new AdamWOptions());
        Assert.That(
            () => state.Restore(adamW),
            Throws.TypeOf<InputException>().With.Message.Contains("optimizer 'sgd', expected that of adamw")
        );
    }

    [TestCase("beta2", "sgd has no beta2")]
    [TestCase("rate", "expected one of the settings of sgd: momentum")]
    [TestCase("momentum", "expected a number from 0 to 0.9999")]
    [TestCase("name", "unknown optimizer 'sdg', known: ")]
    public void WhatDoesNotFitIsNamed(string what, string message)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        var settings = new Dictionary<string, double> { [what] = 2 };
        TrainerOptions options = new()
        {
            Steps = 1,
            Optimizer = new AdamWOptions { Beta2 = what == "beta2" ? 0.5 : 0.999 },
            OptimizerChoice = new OptimizerChoice(what == "name" ? "sdg" : "sgd")
            {
                Settings = what is "beta2" or "name" ? NoSettings : settings,
            },
        };
        Assert.That(() => new Trainer(model, options), Throws.TypeOf<InputException>().With.Message.Contains(message));
    }

    /// <summary>Probes see the masters that they wrote, and the update sees their losses.</summary>
    [Test]
    public void AnOptimizerMayMeasureLossesInsteadOfGradients([Values] bool fixedShapes)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        ParameterSet parameters = model.Trainable!;
        float[] before = Masters(parameters);
        Probing method = new();
        using Optimizer optimizer = new(parameters, method, new AdamWOptions());
        Assert.That(parameters.Gradients, Is.Empty);
        StepKind kind = fixedShapes ? StepKind.FixedShapes : StepKind.AsGiven;
        using TrainingStep step = new(model, parameters, optimizer, new TokenStepLoss(model), kind, false, null, null);
        optimizer.Configure(0.1);
        float[] sums = step.Run([Batch.Create(Records[..3], 0), Batch.Create(Records[3..6], 0)]);
        Assert.That(method.Seen, Has.Length.EqualTo(4), "two probes of two micro-batches");
        Assert.That(method.Seen[2..], Is.Not.EqualTo(method.Seen[..2]), "the second probe doubles the masters");
        Assert.That(sums, Is.EqualTo(new[] { Mean(0), Mean(1) }));
        Assert.That(Masters(parameters), Is.EqualTo(before));
        Assert.That(parameters.StepState.Read().Steps, Is.EqualTo(1));

        float Mean(int i) => (method.Seen[i] + method.Seen[2 + i]) / 2;
    }

    /// <summary>Steps by the gradients that are in, or by the losses at the optimizer's probes.</summary>
    private void StepOn(Optimizer optimizer, double rate, Func<double> loss)
    {
        optimizer.Configure(rate);
        if (optimizer.Probes is not { } probes)
        {
            optimizer.Update();
            return;
        }

        float[] losses = new float[probes.Count];
        for (int probe = 0; probe < losses.Length; probe++)
        {
            probes.Begin(probe);
            losses[probe] = (float)loss();
        }

        probes.End();
        using var measured = Tensor.From(Device, losses, (losses.Length, 1));
        optimizer.Update(measured);
    }

    private static void SaveOnce(Trainer trainer, string path)
    {
        if (trainer.Progress.Step == 3)
            trainer.Save(path);
    }

    private static float[] Masters(ParameterSet parameters) =>
        [.. parameters.Masters.SelectMany(master => master.ToArray())];

    private static byte[][] State(Optimizer optimizer) =>
        [
            .. optimizer.States.Select(state =>
            {
                using Tensor tensor = state.Open();
                byte[] bytes = new byte[tensor.Bytes];
                tensor.CopyTo(bytes);
                return bytes;
            }),
        ];

    private static void Fill(IReadOnlyList<Tensor> buffers, Random random)
    {
        foreach (Tensor buffer in buffers)
            buffer.CopyFrom(Draw(buffer.Count, random));
    }

    private static float[] Draw(long count, Random random) =>
        [.. Enumerable.Range(0, (int)count).Select(_ => (float)(2 * random.NextDouble() - 1))];

    /// <summary>Measures the loss at the masters and at their double, and keeps what it saw.</summary>
    private sealed class Probing : OptimizerMethod
    {
        public float[] Seen { get; private set; } = [];

        public override string Name => "probing";
        public override string Formula => "θ";
        public override string Source => "this test";
        public override string Use => "Measures and changes nothing.";
        public override bool NeedsGradients => false;

        public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 0;

        internal override OptimizerRule Begin(OptimizerRun run) =>
            new(() => Seen = run.Losses!.ToArray())
            {
                Probes = new LossProbes(2, probe => Scale(run, 1 + probe), () => Scale(run, 0.5f)),
            };

        private static void Scale(OptimizerRun run, float factor)
        {
            foreach (Tensor master in run.Parameters.Masters)
                Spectral.Kernels.Ops.Combine.Run(master, factor, null, 0, master);
        }
    }
}
