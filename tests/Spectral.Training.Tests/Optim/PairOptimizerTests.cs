using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>What holds for optimizers that need both factors of a term, on a model with an adapter.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PairOptimizerTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly string[] Names = ["lora-fa", "lora-pro", "preconditioned"];
    private static readonly AdapterOptions Adapted = new() { Rank = 3, TargetModules = ["q_proj", "down_proj"] };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    private static TrainerOptions Options(string name) =>
        new()
        {
            Steps = 6,
            Batch = 3,
            LearningRate = 1e-2,
            LogEvery = 0,
            OptimizerChoice = new OptimizerChoice(name),
        };

    [TestCaseSource(nameof(Names))]
    public void AResumedRunEndsWithTheSameBits(string name)
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        AdapterMethod lora = AdapterMethods.Find("lora");
        float[] whole;
        using (CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder))
        using (var adapter = Adapter.Attach(model, lora, Adapted))
        using (Trainer trainer = new(model, Options(name)))
        {
            trainer.Run(Records, null, [new Checkpoints(3, () => SaveOnce(trainer, path))]);
            whole = Masters(adapter);
        }

        using var saved = TrainerState.Open(path);
        using CausalLanguageModel other = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using Adapter restored = saved.RestoreAdapter(other, lora, Adapted);
        using Trainer resumed = new(other, Options(name));
        resumed.Restore(saved);
        resumed.Run(Records);
        Assert.That(Masters(restored), Is.EqualTo(whole));
    }

    [TestCaseSource(nameof(Names))]
    public void ACapturedStepGivesTheSameBits(string name)
    {
        TrainerOptions options = Options(name);
        (_, float[] captured) = Train("lora", options with { CudaGraph = true });
        (_, float[] launched) = Train("lora", options with { FixedShapes = true });
        Assert.That(captured, Is.EqualTo(launched));
    }

    [TestCaseSource(nameof(Names))]
    public void ItLearnsWithAnAdapter(string name)
    {
        (TrainingResult result, _) = Train("lora", Options(name) with { Steps = 20 });
        Assert.That(result.After!.Loss, Is.LessThan(0.9 * result.Before!.Loss));
    }

    /// <summary>It makes no difference whether R is frozen by the adapter or by the optimizer.</summary>
    [Test]
    public void LoraFaTrainsLoraAsItTrainsTheAdapterLoraFa()
    {
        float[] both = Lefts("lora");
        float[] left = Lefts("lora-fa");
        Assert.That(left, Is.EqualTo(both).Within(1e-5));

        float[] Lefts(string method)
        {
            using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
            using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), Adapted);
            using Trainer trainer = new(model, Options("lora-fa"));
            trainer.Run(Records);
            FactorPair[] pairs = [.. adapter.Parameters.Pairs, .. adapter.Parameters.LeftOnly];
            return [.. pairs.SelectMany(pair => pair.Left.ToArray())];
        }
    }

    private (TrainingResult Result, float[] Masters) Train(string method, TrainerOptions options)
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), Adapted);
        using Trainer trainer = new(model, options);
        TrainingResult result = trainer.Run(Records, Records);
        return (result, Masters(adapter));
    }

    private static void SaveOnce(Trainer trainer, string path)
    {
        if (trainer.Progress.Step == 3)
            trainer.Save(path);
    }

    private static float[] Masters(Adapter adapter) =>
        [.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Master.ToArray())];
}
