using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Planning;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Planning;

/// <summary>Compares plans with the peaks that a device measures when the same runs are made on it.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MemoryPlannerTests(DeviceKind kind)
{
    /// <summary>The part of the measured peak by which a plan may differ from it, in percent.</summary>
    private const double Tolerance = 10;

    private static readonly ModelConfig Small = TinyModels.Llama with
    {
        VocabularySize = 260,
        HiddenSize = 64,
        IntermediateSize = 96,
        HeadDimension = 16,
        Layers = 3,
    };

    private static readonly ModelConfig Middling = Small with
    {
        VocabularySize = 3000,
        HiddenSize = 256,
        IntermediateSize = 640,
        HeadDimension = 64,
        Layers = 4,
        MaxPositions = 256,
    };

    private static readonly TrainerOptions Training = new() { Batch = 4, LearningRate = 1e-4 };
    private static readonly AdapterOptions Options = new()
    {
        Rank = 4,
        TopK = 4,
        InvocationTokens = [3],
    };

    private static string[] Methods() => TestAdapters.LayerMethods;

    private static string[] Optimizers() => [.. OptimizerMethods.All.Select(method => method.Name)];

    private static ModelConfig[] Families() => TinyModels.All;

    [TestCaseSource(nameof(Methods))]
    public void EachAdapterIsAsPlanned(string method) =>
        Compare(Run(Small, Training) with { Method = AdapterMethods.Find(method), CalibrationRecords = 8 });

    [TestCaseSource(nameof(Optimizers))]
    public void EachOptimizerIsAsPlanned(string optimizer) =>
        Compare(Run(Middling, Training.With(new OptimizerChoice(optimizer)), length: 40));

    [TestCaseSource(nameof(Families))]
    public void EachFamilyIsAsPlanned(ModelConfig family) => Compare(Run(family, Training));

    [Test]
    public void EachOptionIsAsPlanned([Values(DType.F32, DType.BF16)] DType type)
    {
        PlannedRun run = Run(Middling, Training, length: 96) with { Type = type };
        Compare(run);
        Compare(run with { LossTokens = 7 });
        Compare(run with { Method = null });
        Compare(run with { Method = AdapterMethods.Find("speclora") });
        Compare(run with { Adapter = Options with { Rank = 64 } });
        Compare(run with { Adapter = Options with { TargetModules = ["q_proj", "lm_head"] } });
        Compare(run with { Adapter = Options with { ModulesToSave = ["embed_tokens", "norm"] } });
        foreach (
            TrainerOptions training in new[]
            {
                Training with
                {
                    ActivationCheckpointing = true,
                },
                Training with
                {
                    Batch = 1,
                },
                Training with
                {
                    Batch = 2,
                    Accumulate = 3,
                },
                Training with
                {
                    EmaDecay = 0.9,
                },
                Training with
                {
                    SampledRows = 0.25,
                },
                Training with
                {
                    SampledRows = 0.25,
                    ActivationCheckpointing = true,
                },
                Training with
                {
                    FlopBudget = 0.5,
                },
                Training with
                {
                    FixedShapes = true,
                },
                Training with
                {
                    CudaGraph = true,
                },
            }
        )
        {
            Compare(run with { Training = training });
        }
    }

    [Test]
    public void PlansTakeNoMemoryAndNeedNone()
    {
        using Device device = Open();
        device.Memory.Limit = 1;
        PlannedRun run = Run(Middling with { HiddenSize = 8192, IntermediateSize = 28672, Layers = 80 }, Training, 256);
        MemoryPlan plan = MemoryPlanner.Plan(run, device);
        long weights = ModelTensors.For(run.Model).Sum(tensor => tensor.Shape.Aggregate(4L, (a, b) => a * b));
        Assert.That(plan.Weights, Is.EqualTo(weights).Within(1).Percent, "the weights of 80 layers");
        Assert.That(device.Memory.Peak, Is.Zero);
    }

    [Test]
    public void ThePartsAreThoseOfTheirKind()
    {
        using Device device = Open();
        PlannedRun run = Run(Middling, Training, length: 96);
        MemoryPlan plan = MemoryPlanner.Plan(run, device);
        long trainable = AdapterSize.Trainable(run.Method!, AdapterTargets.Of(run.Model, run.Adapter), run.Adapter);
        Assert.Multiple(() =>
        {
            Assert.That(plan.Gradients, Is.EqualTo(4 * trainable).Within(15).Percent);
            Assert.That(plan.Optimizer, Is.EqualTo(8 * trainable).Within(15).Percent, "two moments");
            Assert.That(
                MemoryPlanner
                    .Plan(run with { Training = Training with { ActivationCheckpointing = true } }, device)
                    .Activations,
                Is.LessThan(plan.Activations / 3)
            );
            Assert.That(
                MemoryPlanner.Plan(run with { Training = Training with { Batch = 2 } }, device).Activations,
                Is.EqualTo(plan.Activations / 2).Within(15).Percent
            );
        });
    }

    private static PlannedRun Run(ModelConfig model, TrainerOptions training, int length = 24) =>
        new(model, DType.F32, training, length) { Method = AdapterMethods.Find("lora"), Adapter = Options };

    private Device Open()
    {
        Devices.Get(kind); // skips the test without a GPU
        return kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
    }

    /// <summary>Makes the run on a device of its own, whose pool is empty.</summary>
    private void Compare(PlannedRun run)
    {
        using Device device = Open();
        long planned = MemoryPlanner.Plan(run, device).Peak;
        long measured = Measure(run, device);
        TestContext.Out.WriteLine($"{run.Method?.Name} {run.Type}: planned {planned:N0}, measured {measured:N0}");
        Assert.That((double)planned, Is.EqualTo((double)measured).Within(Tolerance).Percent, $"{run}");
    }

    private static long Measure(PlannedRun run, Device device)
    {
        var random = new Random(3);
        using var model = CausalLanguageModel.Initialize(run.Model, device, run.Type, 1, run.Method is null);
        int lossFrom = run.Length - (run.LossTokens ?? run.Length - 1);
        EncodedRecord[] records =
        [
            .. Enumerable
                .Range(0, 16)
                .Select(_ => new EncodedRecord(
                    [.. Enumerable.Range(0, run.Length).Select(_ => random.Next(run.Model.VocabularySize))],
                    lossFrom,
                    lossFrom,
                    false
                )),
        ];
        using Adapter? adapter = run.Method is { } method
            ? Adapter.Attach(
                model,
                method,
                run.Adapter,
                method.StartsFromData
                    ? ModelCalibration.OfTraining(model, records, run.Training, run.CalibrationRecords)
                    : null
            )
            : null;
        using var trainer = new Trainer(model, run.Training with { Steps = 4 });
        trainer.Run(records);
        return device.Memory.Peak;
    }
}
