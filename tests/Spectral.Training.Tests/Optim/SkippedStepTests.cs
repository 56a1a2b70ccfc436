using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>Steps whose loss or gradient is not finite.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SkippedStepTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly TrainerOptions Options = new()
    {
        Steps = 7,
        Batch = 3,
        LearningRate = 1e-2,
        LogEvery = 0,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [Test]
    public void TheyAreCountedAndUpdateNothing([Values] bool graph)
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        using Trainer trainer = new(model, Options with { CudaGraph = graph });
        string path = Path.Combine(Folder.Path, "train_log.jsonl");
        Poison poison = new(model, from: 3, until: 4);
        List<int> saved = [];
        Checkpoints checkpoints = new(1, () => saved.Add(trainer.Progress.Step));
        using (TrainingLog log = new(path))
        {
            TrainingResult result = trainer.Run(Records, callbacks: [log, checkpoints, poison]);
            Assert.That((result.Skipped, double.IsFinite(result.FinalLoss)), Is.EqualTo((2, true)));
        }
        Assert.That(poison.Weights[4], Is.EqualTo(poison.Weights[2]), "nothing changes in a skipped step");
        Assert.That(poison.Weights[5], Is.Not.EqualTo(poison.Weights[4]));
        Assert.That(model.Trainable!.StepState.Read().Steps, Is.EqualTo(5));
        Assert.That(saved, Is.EqualTo(new[] { 1, 2, 5, 6, 7 }), "saved is what is known to be good");
        string[] lines = File.ReadAllLines(path);
        Assert.That(
            lines.Select(line => line.Contains("\"loss\":null")),
            Is.EqualTo(Enumerable.Range(1, 7).Select(step => step is 3 or 4))
        );
    }

    [Test]
    public void TooManyInARowEndTheRun()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        using Trainer trainer = new(model, Options with { MaxSkipped = 3 });
        Poison poison = new(model, from: 3, until: 7);
        Assert.That(
            () => trainer.Run(Records, callbacks: [poison]),
            Throws
                .TypeOf<TrainingDivergedException>()
                .With.Message.Contains("step 5: the loss")
                .And.Message.Contains("2 steps before")
                .And.Message.Contains("last finite loss")
                .And.Message.Contains("learning rate")
        );
        Assert.That(poison.Weights[5], Is.EqualTo(poison.Weights[2]));
    }

    [Test]
    public void ARestoredRunGoesOnCounting()
    {
        string state = Path.Combine(Folder.Path, "state.safetensors");
        using (CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device))
        using (Trainer trainer = new(model, Options))
        {
            Poison poison = new(model, from: 3, until: 7);
            poison.AtEnd = step =>
            {
                if (step == 4)
                    poison.Without(() => trainer.Save(state)); // which refuses what is not finite
            };
            Assert.That(
                () => trainer.Run(Records, callbacks: [poison]),
                Throws.TypeOf<TrainingDivergedException>().With.Message.Contains("step 7")
            );
        }
        using CausalLanguageModel other = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer again = new(other, Options with { MaxSkipped = 3 });
        using (var saved = TrainerState.Open(state))
            again.Restore(saved);
        Assert.That((again.Progress.Skipped, again.Progress.SkippedInARow), Is.EqualTo((2, 2)));
        new Poison(other, from: 5, until: 7).Spoil();
        Assert.That(
            () => again.Run(Records),
            Throws.TypeOf<TrainingDivergedException>().With.Message.Contains("step 5")
        );
    }

    /// <summary>
    /// At a rate of 1e38 the first update is as large as F32 holds, and the decay of the second goes beyond.
    /// </summary>
    [Test]
    public void AnUpdateThatOverflowsEndsTheRun()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        using Trainer trainer = new(
            model,
            Options with
            {
                Steps = 1,
                LearningRate = 3.4e38,
                Optimizer = new AdamWOptions { WeightDecay = 2 },
            }
        );
        Assert.That(
            () => trainer.Run(Records),
            Throws
                .TypeOf<TrainingDivergedException>()
                .With.Message.Contains("step 1")
                .And.Message.Contains("not finite")
        );
    }

    /// <summary>
    /// Makes one weight NaN so that some steps have no finite loss, and keeps the others as they are after each step.
    /// </summary>
    private sealed class Poison(CausalLanguageModel model, int from, int until) : ITrainerCallback
    {
        private readonly Parameter _norm = model.Trainable!.Parameters.First(parameter =>
            parameter.Name.EndsWith("input_layernorm.weight", StringComparison.Ordinal)
        );
        private float[] _kept = [];

        public Dictionary<int, float[]> Weights { get; } = [];

        public Action<int> AtEnd { get; set; } = _ => { };

        public void Spoil()
        {
            _kept = _norm.Master.ToArray();
            _norm.Master.CopyFrom([.. _kept.Select((value, i) => i == 1 ? float.NaN : value)]);
        }

        public void Without(Action action)
        {
            _norm.Master.CopyFrom(_kept);
            action();
            Spoil();
        }

        public void OnStep(StepReport report)
        {
            Assert.That(report.Skipped, Is.EqualTo(report.Step >= from && report.Step <= until));
            Weights[report.Step] =
            [
                .. model
                    .Trainable!.Parameters.Where(parameter => parameter != _norm)
                    .SelectMany(parameter => parameter.Master.ToArray()),
            ];
            if (report.Step == from - 1)
                Spoil();
            if (report.Step == until)
                _norm.Master.CopyFrom(_kept);
        }

        public void OnStepEnd(int step, bool isLast) => AtEnd(step);
    }
}
