using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>State of optimizers that is on the host between updates.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OffloadTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly TrainerOptions Options = new()
    {
        Steps = 6,
        Batch = 2,
        LearningRate = 1e-2,
        LogEvery = 0,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(5));

    private static string[] Optimizers() => [.. OptimizerMethods.All.Select(method => method.Name)];

    [TestCaseSource(nameof(Optimizers))]
    public void NoBitDependsOnIt(string optimizer)
    {
        TrainerOptions options = Options.With(new OptimizerChoice(optimizer));
        (float[][] weights, double[] losses) kept = Train(options);
        (float[][] weights, double[] losses) moved = Train(options with { OffloadOptimizer = true });
        Assert.That(moved.losses, Is.EqualTo(kept.losses));
        Assert.That(moved.weights, Is.EqualTo(kept.weights));
    }

    /// <summary>A state that was saved in the middle, and one that resumes from it, has the same bits too.</summary>
    [Test]
    public void ASavedRunResumesWithItAndWithout([Values] bool before, [Values] bool after)
    {
        (float[][] weights, double[] losses) whole = Train(Options);
        string path = Folder.File("state.safetensors");
        Train(Options with { OffloadOptimizer = before }, saveAt: 3, path: path);
        (float[][] weights, double[] losses) resumed = Train(Options with { OffloadOptimizer = after }, resume: path);
        Assert.That(resumed.weights, Is.EqualTo(whole.weights));
        Assert.That(resumed.losses, Is.EqualTo(whole.losses[3..]));
    }

    [Test]
    public void BetweenUpdatesTheDeviceHoldsNoState()
    {
        CausalLanguageModel model = Model();
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 4 });
        using Optimizer optimizer = OptimizerMethods.Find("adamw").Create(adapter.Parameters, new AdamWOptions());
        long with = Device.Memory.InUse;
        optimizer.OffloadsState = true;
        for (int step = 0; step < 3; step++)
        {
            optimizer.Step(1e-3);
            Assert.That(Device.Memory.InUse, Is.LessThanOrEqualTo(with - optimizer.StateBytes), $"after step {step}");
        }
    }

    [Test]
    public void AGraphCannotMoveIt() =>
        Assert.That(
            () => (Options with { OffloadOptimizer = true, CudaGraph = true }).RequireSuits(null),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("--offload-optimizer")
                .And.Message.Contains("expected no")
        );

    private CausalLanguageModel Model() => Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    private (float[][] Weights, double[] Losses) Train(
        TrainerOptions options,
        int? saveAt = null,
        string path = "",
        string? resume = null
    )
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("lora"),
            new AdapterOptions { Rank = 4, Seed = 3 }
        );
        using var trainer = new Trainer(model, options);
        if (resume is not null)
        {
            using var state = TrainerState.Open(resume);
            trainer.Restore(state);
        }

        var losses = new List<double>();
        trainer.Run(Records, callbacks: [new Follower(losses, trainer, saveAt, path)]);
        return ([.. adapter.Parameters.Parameters.Select(parameter => parameter.ToArray())], [.. losses]);
    }

    private sealed class Follower(List<double> losses, Trainer trainer, int? saveAt, string path) : ITrainerCallback
    {
        public void OnStep(StepReport report) => losses.Add(report.Loss);

        public void OnStepEnd(int step, bool isLast)
        {
            if (step == saveAt)
                trainer.Save(path);
        }
    }
}
