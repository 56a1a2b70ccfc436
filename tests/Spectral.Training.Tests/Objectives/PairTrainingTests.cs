using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Planning;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Objectives;

/// <summary>Runs on pairs: what they start from, how they go on, and what does not go together.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PairTrainingTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly TrainerOptions Options = new()
    {
        Steps = 6,
        Batch = 2,
        Accumulate = 2,
        LearningRate = 1e-2,
        LogEvery = 0,
        GroupByLength = true,
        NeftuneAlpha = 2,
    };

    private EncodedRecord[] Pairs { get; } = PairModelTests.Pairs(7, TinyModels.Llama, new Random(31));

    [Test]
    public void AFreshAdapterBeginsAtTheBase([Values("dpo", "kto")] string name)
    {
        (_, List<StepReport> steps, _) = Train(Options with { Loss = new(name), NeftuneAlpha = null });
        Assert.Multiple(() =>
        {
            Assert.That(steps[0].Loss, Is.EqualTo(name == "dpo" ? Math.Log(2) : 0.5).Within(1e-6));
            Assert.That(steps[0].PairScores!.ChosenReward, Is.Zero.Within(1e-6));
            Assert.That(steps[^1].Loss, Is.LessThan(steps[0].Loss));
            Assert.That(steps[^1].PairScores!.Accuracy, Is.GreaterThan(0.5));
            Assert.That(steps.Sum(step => step.Tokens), Is.EqualTo(3 * Pairs.Sum(Tokens)), "six steps, three epochs");
        });

        static int Tokens(EncodedRecord pair) => pair.Tokens.Length + pair.Rejected!.Tokens.Length;
    }

    [Test]
    public void AResumedRunEndsWithTheSameBits([Values("dpo", "kto", "simpo")] string name)
    {
        TrainerOptions options = Options with { Loss = new(name), EvalEvery = 2, EmaDecay = 0.9 };
        string state = Folder.File("state");
        (float[] weights, List<StepReport> steps, TrainingResult result) whole = Train(options, saveAt: (3, state));
        (float[] weights, List<StepReport> steps, TrainingResult result) = Train(options, resumeFrom: state);
        Assert.Multiple(() =>
        {
            Assert.That(weights, Is.EqualTo(whole.weights));
            Assert.That(
                steps.Select(step => (step.Loss, step.GradientNorm, step.PairScores)),
                Is.EqualTo(whole.steps.Skip(3).Select(step => (step.Loss, step.GradientNorm, step.PairScores)))
            );
            Assert.That((result.Before, result.After), Is.EqualTo((whole.result.Before, whole.result.After)));
            Assert.That(result.After!.PairScores, Is.Not.Null);
        });
        Assert.That(
            () => Train(options with { Loss = new("orpo") }, resumeFrom: state),
            Throws.TypeOf<InputException>().With.Message.Contains("the run had the option Loss")
        );
    }

    [Test]
    public void AnOptimizerWithoutGradientsLearnsFromPairsToo()
    {
        TrainerOptions options = (Options with { Loss = new("dpo"), NeftuneAlpha = null, LearningRate = 1e-3 }).With(
            new OptimizerChoice("mezo")
        );
        (_, List<StepReport> steps, _) = Train(options);
        // Its first loss is the mean over two probes near the start.
        Assert.That(steps[0].Loss, Is.EqualTo(Math.Log(2)).Within(1e-3));
        Assert.That(steps[^1].Loss, Is.Not.EqualTo(steps[0].Loss).And.Not.NaN);
    }

    [Test]
    public void WhatDoesNotGoWithPairsIsRefused()
    {
        TrainerOptions options = Options with { Loss = new("dpo") };
        Assert.Multiple(() =>
        {
            Assert.That(() => Suits(options with { CudaGraph = true }), Refuses("expected no --graph"));
            Assert.That(() => Suits(options with { FixedShapes = true }), Refuses("expected no --graph"));
            Assert.That(
                () => Suits(options with { PackTo = 32, GroupByLength = false }),
                Refuses("expected no --packing")
            );
            Assert.That(() => Suits(options with { Loss = new("ppo") }), Refuses("unknown loss 'ppo'"));
        });
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        Assert.That(() => new Trainer(model, options), Refuses("compares with the base, which is lost"));
        using Trainer without = new(model, options with { Loss = new("orpo") });
        Assert.That(without.Run(Pairs).Steps, Is.EqualTo(6), "all weights may train without a base");

        static void Suits(TrainerOptions options) => options.RequireSuits(AdapterMethods.Find("lora"));

        static NUnit.Framework.Constraints.Constraint Refuses(string what) =>
            Throws.TypeOf<InputException>().With.Message.Contains(what);
    }

    [Test]
    public void MemoryIsPlannedForBothSides()
    {
        MemoryPlan one = Plan("cross-entropy");
        MemoryPlan two = Plan("kto");
        Assert.That((double)two.Activations / one.Activations, Is.EqualTo(2).Within(0.1));
        Assert.That(two.Weights, Is.EqualTo(one.Weights), "no second model");

        MemoryPlan Plan(string name) =>
            MemoryPlanner.Plan(
                new PlannedRun(
                    TinyModels.Llama with
                    {
                        HiddenSize = 128,
                    },
                    DType.F32,
                    new TrainerOptions { Loss = new(name), Batch = 4 },
                    60
                )
                {
                    Method = AdapterMethods.Find("lora"),
                },
                Device
            );
    }

    private (float[] Weights, List<StepReport> Steps, TrainingResult Result) Train(
        TrainerOptions options,
        (int Step, string Path)? saveAt = null,
        string? resumeFrom = null
    )
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("lora"),
            new AdapterOptions { Rank = 3, Dropout = options.NeftuneAlpha is null ? 0 : 0.1 }
        );
        using Trainer trainer = new(model, options);
        if (resumeFrom is not null)
        {
            using var state = TrainerState.Open(resumeFrom);
            trainer.Restore(state);
        }

        Recorder recorder = new(step =>
        {
            if (step == saveAt?.Step)
                trainer.Save(saveAt.Value.Path);
        });
        TrainingResult result = trainer.Run(Pairs, options.EvalEvery > 0 ? Pairs[..3] : null, [recorder]);
        return ([.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())], recorder.Steps, result);
    }

    private sealed class Recorder(Action<int> afterStep) : ITrainerCallback
    {
        public List<StepReport> Steps { get; } = [];

        public void OnStep(StepReport report) => Steps.Add(report);

        public void OnStepEnd(int step, bool isLast) => afterStep(step);
    }
}
