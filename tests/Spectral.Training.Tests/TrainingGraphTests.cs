using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>A captured and replayed training step against the same step made launch by launch.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TrainingGraphTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly TrainerOptions Options = new()
    {
        Steps = 7,
        Batch = 3,
        Accumulate = 2,
        LearningRate = 1e-2,
        Warmup = 2,
        LogEvery = 0,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [Test]
    public void AReplayedAdapterStepGivesTheSameBits(
        [Values("lora", "speclora", "hra", "boft", "fourierft", "c3a", "vb-lora", "nola")] string method,
        [Values] bool checkpointing,
        [Values(DType.F32, DType.BF16)] DType type
    )
    {
        TrainerOptions fixedShapes = Options with { FixedShapes = true, ActivationCheckpointing = checkpointing };
        (float[] Weights, StepReport[] Steps, double? Loss) eager = TrainAdapter(method, type, fixedShapes);
        (float[] Weights, StepReport[] Steps, double? Loss) graph = TrainAdapter(
            method,
            type,
            fixedShapes with
            {
                CudaGraph = true,
            }
        );
        Same(graph, eager);
    }

    [Test]
    public void AReplayedStepOfAllWeightsGivesTheSameBits([Values("Llama", "Everything")] string name)
    {
        TrainerOptions fixedShapes = Options with { FixedShapes = true };
        Same(TrainWeights(name, fixedShapes with { CudaGraph = true }), TrainWeights(name, fixedShapes));
    }

    [Test]
    public void PaddingChangesNoLoss()
    {
        (float[] Weights, StepReport[] Steps, double? Loss) padded = TrainAdapter(
            "lora",
            DType.F32,
            Options with
            {
                FixedShapes = true,
            }
        );
        (float[] Weights, StepReport[] Steps, double? Loss) asGiven = TrainAdapter("lora", DType.F32, Options);
        Assert.That(
            padded.Steps.Select(step => step.Loss),
            Is.EqualTo(asGiven.Steps.Select(step => step.Loss)).Within(1e-4).Percent
        );
        Assert.That(padded.Steps.Select(step => step.Tokens), Is.EqualTo(asGiven.Steps.Select(step => step.Tokens)));
    }

    [Test]
    public void EvaluationInBetweenDisturbsNothing()
    {
        TrainerOptions options = Options with { FixedShapes = true, EvalEvery = 3 };
        EncodedRecord[] longer = TinyModels.Records(6, TinyModels.Llama, new Random(5), longest: 40);
        Same(
            TrainAdapter("lora", DType.F32, options with { CudaGraph = true }, longer),
            TrainAdapter("lora", DType.F32, options, longer)
        );
    }

    [Test]
    public void ALossThatIsNotFiniteSkipsTheUpdateOfAReplayedStep()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        using Trainer trainer = new(model, Options with { CudaGraph = true });
        Parameter norm = model.Trainable!.Parameters.First(parameter =>
            parameter.Name.EndsWith("input_layernorm.weight", StringComparison.Ordinal)
        );
        Batch[] batches = [Batch.Create(Records.AsSpan(0, 3), 0, 7), Batch.Create(Records.AsSpan(3, 3), 0, 7)];
        for (int i = 1; i <= 3; i++)
            trainer.Step(i, batches, 1e-3);
        norm.Master.CopyFrom([.. norm.Master.ToArray().Select((value, i) => i == 1 ? float.NaN : value)]);
        float[] before = model.Trainable.Masters[0].ToArray();
        StepReport report = trainer.Step(4, batches, 1e-3);
        Assert.That((report.Skipped, report.Loss), Is.EqualTo((true, double.NaN)));
        Assert.That(model.Trainable.Masters[0].ToArray(), Is.EqualTo(before));
    }

    [Test]
    public void ReplayedStepsTakeNoNewDeviceMemoryAndLittleGarbage()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Keep(Adapter.Attach(model, AdapterMethods.Find("speclora"), new AdapterOptions { Rank = 2, TopK = 2 }));
        using Trainer trainer = new(model, Options with { CudaGraph = true });
        Batch[] batches = [Batch.Create(Records, 0)];
        for (int i = 1; i <= 3; i++)
            trainer.Step(i, batches, 1e-3);
        long device = Device.Memory.InUse + Device.Memory.Cached;
        // The runtime allocates on its own account now and then, some 4 KB at once; what a step itself leaves behind,
        // each of them does.
        long managed = Enumerable
            .Range(4, 3)
            .Min(step =>
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                trainer.Step(step, batches, 1e-3);
                return GC.GetAllocatedBytesForCurrentThread() - before;
            });
        Assert.Multiple(() =>
        {
            Assert.That(Device.Memory.InUse + Device.Memory.Cached, Is.EqualTo(device));
            Assert.That(managed, Is.LessThan(4 << 10), "bytes of managed garbage in one step");
        });
    }

    [Test]
    public void OtherShapesAreRefusedByName()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        using Trainer trainer = new(model, Options with { FixedShapes = true });
        trainer.Step(1, [Batch.Create(Records.AsSpan(0, 3), 0, 7)], 1e-3);
        Assert.That(
            () => trainer.Step(2, [Batch.Create(Records.AsSpan(0, 3), 0, 9)], 1e-3),
            Throws.ArgumentException.With.Message.Contains("[3, 9]").And.Message.Contains("expected [3, 7]")
        );
        Assert.That(
            () =>
                trainer.Step(
                    2,
                    [Batch.Create(Records.AsSpan(0, 3), 0, 7), Batch.Create(Records.AsSpan(0, 3), 0, 7)],
                    1e-3
                ),
            Throws.ArgumentException.With.Message.Contains("2 micro-batches, expected 1")
        );
    }

    private static void Same(
        (float[] Weights, StepReport[] Steps, double? Loss) actual,
        (float[] Weights, StepReport[] Steps, double? Loss) expected
    ) =>
        Assert.Multiple(() =>
        {
            Assert.That(
                actual.Steps.Select(step => (step.Loss, step.GradientNorm, step.Tokens)),
                Is.EqualTo(expected.Steps.Select(step => (step.Loss, step.GradientNorm, step.Tokens)))
            );
            Assert.That(actual.Weights, Is.EqualTo(expected.Weights));
            Assert.That(actual.Loss, Is.EqualTo(expected.Loss));
            Assert.That(
                actual.Steps[^1].Loss,
                Is.Not.EqualTo(actual.Steps[1].Loss),
                "a replay uses the batch it is given"
            );
        });

    private (float[] Weights, StepReport[] Steps, double? Loss) TrainAdapter(
        string method,
        DType type,
        TrainerOptions options,
        EncodedRecord[]? evaluation = null
    )
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder, type);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            new AdapterOptions
            {
                Rank = 4,
                TopK = 2,
                Seed = 4,
            }
        );
        return Train(model, options, evaluation);
    }

    private (float[] Weights, StepReport[] Steps, double? Loss) TrainWeights(string name, TrainerOptions options)
    {
        using CausalLanguageModel model = TinyModels.Trainable(
            (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!,
            Device
        );
        return Train(model, options, null);
    }

    private (float[] Weights, StepReport[] Steps, double? Loss) Train(
        CausalLanguageModel model,
        TrainerOptions options,
        EncodedRecord[]? evaluation
    )
    {
        StepRecorder recorder = new();
        using Trainer trainer = new(model, options);
        TrainingResult result = trainer.Run(Records, evaluation, [recorder]);
        return (
            [.. model.Trainable!.Masters.SelectMany(master => master.ToArray())],
            [.. recorder.Steps],
            result.After?.Loss
        );
    }

    private sealed class StepRecorder : ITrainerCallback
    {
        public List<StepReport> Steps { get; } = [];

        public void OnStep(StepReport report) => Steps.Add(report);
    }
}
