using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Autograd;

/// <summary>
/// Gradients of weights from some of the rows: exact in the mean over seeds, while gradients of activations are exact.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RowSamplingTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Draws = 300;

    private static TrainerOptions Options { get; } =
        new()
        {
            Steps = 6,
            Batch = 3,
            LearningRate = 1e-3,
            LogEvery = 0,
            SampledRows = 0.3,
        };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [TestCase("none")]
    [TestCase("lora")]
    [TestCase("dora")]
    [TestCase("ia3")]
    [TestCase("shira")]
    [TestCase("speclora")]
    public void TheMeanOverDrawsIsTheExactGradient(string adapter)
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        using StepState state = new(Device);
        double[][] exact = Gradients(model, parameters, null);
        double[][] sums = [.. exact.Select(gradient => new double[gradient.Length])];
        double[][] squares = [.. exact.Select(gradient => new double[gradient.Length])];
        state.SeedDropout(5);
        for (int draw = 0; draw < Draws; draw++)
        {
            double[][] sampled = Gradients(model, parameters, new RowSampling(state, 0.4));
            for (int p = 0; p < exact.Length; p++)
            {
                for (int i = 0; i < exact[p].Length; i++)
                {
                    sums[p][i] += sampled[p][i];
                    squares[p][i] += sampled[p][i] * sampled[p][i];
                }
            }

            state.NextBatch();
        }

        bool anyVaries = false;
        for (int p = 0; p < exact.Length; p++)
        {
            double largest = exact[p].Max(Math.Abs);
            for (int i = 0; i < exact[p].Length; i++)
            {
                double mean = sums[p][i] / Draws;
                double deviation = Math.Sqrt(Math.Max(0, (squares[p][i] / Draws) - (mean * mean)) / Draws);
                anyVaries |= deviation > 1e-3 * largest;
                // Of some thousand values, none is beyond five deviations but for one case in a thousand.
                Assert.That(
                    mean,
                    Is.EqualTo(exact[p][i]).Within((5 * deviation) + (1e-5 * largest) + 1e-9),
                    $"{parameters.Parameters[p].Name}[{i}]"
                );
            }
        }

        Assert.That(anyVaries, Is.True);
    }

    /// <summary>Norms and the embedding get their gradients through activations only, biases from all rows.</summary>
    [Test]
    public void GradientsOfActivationsAreExactToTheBit()
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create("none", TinyModels.Qwen2);
        using StepState state = new(Device);
        double[][] exact = Gradients(model, parameters, null);
        double[][] sampled = Gradients(model, parameters, new RowSampling(state, 0.3));
        int compared = 0;
        for (int p = 0; p < exact.Length; p++)
        {
            string name = parameters.Parameters[p].Name;
            if (name.Contains("norm") || name.Contains("bias"))
            {
                compared++;
                Assert.That(sampled[p], Is.EqualTo(exact[p]), name);
            }
            else if (name.Contains("_proj"))
            {
                Assert.That(sampled[p], Is.Not.EqualTo(exact[p]), name);
            }
        }

        Assert.That(compared, Is.AtLeast(5));
    }

    [Test]
    public void TheLeftFactorIsExact()
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create("lora");
        using StepState state = new(Device);
        double[][] exact = Gradients(model, parameters, null);
        double[][] sampled = Gradients(model, parameters, new RowSampling(state, 0.3));
        for (int p = 0; p < exact.Length; p++)
        {
            string name = parameters.Parameters[p].Name;
            double within = 1e-5 * exact[p].Max(Math.Abs);
            if (name.Contains("lora_B"))
                Assert.That(sampled[p], Is.EqualTo(exact[p]).Within(within), name);
            else
                Assert.That(sampled[p], Is.Not.EqualTo(exact[p]).Within(within), name);
        }
    }

    [TestCase("none")]
    [TestCase("lora")]
    [TestCase("dora")]
    public void AllRowsGiveTheExactGradient(string adapter)
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        using StepState state = new(Device);
        double[][] exact = Gradients(model, parameters, null);
        double[][] sampled = Gradients(model, parameters, new RowSampling(state, 1));
        for (int p = 0; p < exact.Length; p++)
            Assert.That(sampled[p], Is.EqualTo(exact[p]).Within(1e-5 * exact[p].Max(Math.Abs)));
    }

    [Test]
    public void CheckpointingDrawsTheSameRows()
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create("lora");
        using StepState state = new(Device);
        RowSampling sampling = new(state, 0.3);
        Assert.That(
            Gradients(model, parameters, sampling, checkpoint: true),
            Is.EqualTo(Gradients(model, parameters, sampling))
        );
    }

    [TestCase("none")]
    [TestCase("lora")]
    public void AResumedRunEndsWithTheSameBits(string adapter)
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        using (Trainer trainer = new(model, Options))
        {
            trainer.Run(
                Records,
                callbacks:
                [
                    new Checkpoints(
                        3,
                        () =>
                        {
                            if (trainer.Progress.Step == 3)
                                trainer.Save(path);
                        }
                    ),
                ]
            );
        }

        float[] whole = Masters(parameters);
        (CausalLanguageModel other, ParameterSet resumed) = Create(adapter);
        using (Trainer trainer = new(other, Options))
        {
            using var state = TrainerState.Open(path);
            trainer.Restore(state);
            trainer.Run(Records);
        }

        Assert.That(Masters(resumed), Is.EqualTo(whole));
        Assert.That(whole, Is.Not.EqualTo(Train(adapter, Options with { SampledRows = null })));
    }

    [Test]
    public void ACapturedStepGivesTheSameBits() =>
        Assert.That(
            Train("lora", Options with { CudaGraph = true }),
            Is.EqualTo(Train("lora", Options with { FixedShapes = true }))
        );

    /// <summary>
    /// The input of each adapted layer is kept only in part. With one layer of siblings, rows are 512 and 32 wide.
    /// </summary>
    [Test]
    public void OnlyTheRowsDrawnAreKept()
    {
        const int RowsOfInput = 512;
        const int Inputs = 32;
        ParameterSet weights = Keep(new ParameterSet(Device, [("layer.weight", (8, Inputs))]));
        weights.EnableGradients();
        Linear layer = new("layer", weights.Parameters[0], null);
        using StepState state = new(Device);
        long whole = Kept(null);
        long part = Kept(new RowSampling(state, 0.125));
        TestContext.Out.WriteLine($"{whole} bytes kept, {part} with an eighth of the rows");
        Assert.That(whole, Is.AtLeast(RowsOfInput * Inputs * sizeof(float)));
        Assert.That(part, Is.LessThan(whole / 4));

        long Kept(RowSampling? sampling)
        {
            using Tape tape = new(Device) { Sampling = sampling };
            long before = Device.Memory.InUse;
            using (Variable x = new(Tensor.Zeros(Device, (RowsOfInput, Inputs))))
            {
                using Variable y = LinearNode.Apply(tape, x, layer);
            }

            return Device.Memory.InUse - before;
        }
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        (CausalLanguageModel model, _) = Create("none");
        Refused(Options with { SampledRows = 0 }, "sampled rows 0: expected a number above 0 and up to 1");
        Refused(Options with { OptimizerChoice = new OptimizerChoice("mezo") }, "expected no --rmm");
        Assert.That(
            () => Options.RequireSuits(AdapterMethods.Find("lora"), new AdapterOptions { Dropout = 0.1 }),
            Throws.TypeOf<InputException>().With.Message.Contains("expected no --dropout with --rmm")
        );

        void Refused(TrainerOptions options, string message) =>
            Assert.That(
                () => new Trainer(model, options),
                Throws.TypeOf<InputException>().With.Message.Contains(message)
            );
    }

    private (CausalLanguageModel Model, ParameterSet Parameters) Create(string adapter, ModelConfig? config = null)
    {
        config ??= TinyModels.Llama;
        if (adapter == "none")
        {
            CausalLanguageModel whole = Keep(TinyModels.Trainable(config, Device));
            whole.Trainable!.EnableGradients();
            return (whole, whole.Trainable);
        }

        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        AdapterOptions options = new() { Rank = 2, TopK = 2 };
        Adapter attached = Keep(Adapter.Attach(model, AdapterMethods.Find(adapter), options));
        TestAdapters.Randomize(attached, 2);
        attached.Parameters.EnableGradients();
        return (model, attached.Parameters);
    }

    private float[] Train(string adapter, TrainerOptions options)
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        using Trainer trainer = new(model, options);
        trainer.Run(Records);
        return Masters(parameters);
    }

    private static float[] Masters(ParameterSet parameters) =>
        [.. parameters.Parameters.SelectMany(parameter => parameter.Master.ToArray())];

    private double[][] Gradients(
        CausalLanguageModel model,
        ParameterSet parameters,
        RowSampling? sampling,
        bool checkpoint = false
    )
    {
        parameters.ClearGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device) { Sampling = sampling };
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
        tape.Backward();
        return
        [
            .. parameters.Parameters.Select(parameter =>
                Array.ConvertAll(parameter.Gradient!.ToArray(), value => (double)value)
            ),
        ];
    }
}
