using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>
/// Records that are joined to sequences: the same losses and gradients as in rows of their own, and runs that resume.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PackedTrainingTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void PackingChangesNoLossAndNoGradient(
        [Values("Llama", "Everything", "Mistral", "SmolLm3", "Gemma2", "Gpt2", "Phi", "CohereNormed")] string name,
        [Values] bool checkpoint
    )
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        model.Trainable!.EnableGradients();
        EncodedRecord[] records = TinyModels.Records(7, config, new Random(8), longest: 9);
        double apart = records.Sum(record => Run(model, Batch.Create([record])));
        float[][] expected = [.. model.Trainable.Gradients.Select(gradient => gradient.ToArray())];
        model.Trainable.ClearGradients();
        double packed = Run(
            model,
            Batch.Pack([records[..3], records[3..4], records[4..]], paddingToken: 3),
            checkpoint
        );
        float[][] actual = [.. model.Trainable.Gradients.Select(gradient => gradient.ToArray())];
        Assert.Multiple(() =>
        {
            Assert.That(packed, Is.EqualTo(apart).Within(1e-6 * apart));
            foreach ((float[] one, float[] other) in actual.Zip(expected))
            {
                // F32 sums over all rows at once, or row by row: a rounding of the largest for single elements.
                Assert.That(one, Is.EqualTo(other).Within(1e-5f * other.Max(Math.Abs) + 1e-7f));
                double apartBy = Math.Sqrt(one.Zip(other, (x, y) => Math.Pow(x - y, 2)).Sum());
                Assert.That(apartBy, Is.LessThanOrEqualTo(5e-6 * Math.Sqrt(other.Sum(y => Math.Pow(y, 2))) + 1e-7));
            }
        });
    }

    [Test]
    public void TheFusedVariantKeepsRecordsApart([Values(0, 3)] int window)
    {
        ModelConfig config = TinyModels.Llama with { HeadDimension = 8, SlidingWindow = window };
        AttentionVariant? before = Attention.Forced(Device);
        try
        {
            Attention.Force(Device, AttentionVariant.Fused);
            using var model = CausalLanguageModel.Initialize(config, Device, DType.BF16, 5);
            EncodedRecord[] records = TinyModels.Records(6, config, new Random(8), longest: 9);
            double apart = records.Sum(record => Losses.Of(model, Batch.Create([record])));
            // Weights in 8 bits; the sums of a tile are in another order.
            Assert.That(Losses.Of(model, Batch.Pack([records])), Is.EqualTo(apart).Within(0.2).Percent);
            Assert.That(
                Losses.Of(model, Batch.Create([Joined(records)])),
                Is.Not.EqualTo(apart).Within(0.2).Percent,
                "one record of all tokens is something else"
            );
        }
        finally
        {
            Attention.Force(Device, before);
        }
    }

    /// <summary>
    /// Backward through a whole model by the fused kernels: each gradient points where the one of rows apart does.
    /// </summary>
    [Test]
    public void TheFusedBackwardKeepsRecordsApart([Values(0, 3)] int window)
    {
        ModelConfig config = TinyModels.Llama with { HeadDimension = 8, SlidingWindow = window };
        using ForcedAttention forced = new(Device, AttentionVariant.Fused);
        CausalLanguageModel model = Keep(CausalLanguageModel.Initialize(config, Device, DType.BF16, 5));
        model.Trainable!.EnableGradients();
        EncodedRecord[] records = TinyModels.Records(6, config, new Random(8), longest: 9);
        double apart = records.Sum(record => Run(model, Batch.Create([record])));
        float[] expected = All();
        model.Trainable.ClearGradients();
        double packed = Run(model, Batch.Pack([records[..4], records[4..]]));
        float[] actual = All();
        model.Trainable.ClearGradients();
        Run(model, Batch.Create([Joined(records)]));
        Assert.Multiple(() =>
        {
            // Activations carry 8 bits, and the sums of a tile are in another order.
            Assert.That(packed, Is.EqualTo(apart).Within(0.2).Percent);
            Assert.That(Distance(actual, expected), Is.LessThan(0.02));
            Assert.That(Distance(All(), expected), Is.GreaterThan(0.1), "one record of all tokens is something else");
        });

        float[] All() => [.. model.Trainable.Gradients.SelectMany(gradient => gradient.ToArray())];

        static double Distance(float[] one, float[] other) =>
            Math.Sqrt(one.Zip(other, (x, y) => Math.Pow(x - y, 2)).Sum() / other.Sum(y => Math.Pow(y, 2)));
    }

    [Test]
    public void EvaluationCountsTheSameInSequences()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        EncodedRecord[] records =
        [
            .. TinyModels
                .Records(25, TinyModels.Llama, new Random(31))
                .Select(record => record with { HasCompletion = true }),
        ];
        EvaluationResult apart = Evaluator.Evaluate(model, records, 4);
        Done done = new();
        EvaluationResult packed = Evaluator.Evaluate(model, records, 2, progress: done, packTo: 16);
        Assert.Multiple(() =>
        {
            Assert.That(packed.Loss, Is.EqualTo(apart.Loss).Within(1e-6));
            Assert.That(packed.ExactMatch, Is.EqualTo(apart.ExactMatch));
            Assert.That((packed.Tokens, packed.Records), Is.EqualTo((apart.Tokens, apart.Records)));
            Assert.That(done.Last, Is.EqualTo(25));
        });
    }

    [Test]
    public void StepsCountSequencesAndTheirTokens([Values] bool fixedShapes)
    {
        EncodedRecord[] records = TinyModels.Records(12, TinyModels.Llama, new Random(31));
        TrainerOptions options = new()
        {
            Epochs = 1,
            Batch = 2,
            PackTo = 16,
            FixedShapes = fixedShapes,
            LogEvery = 0,
        };
        int[][] sequences = SequencePacker.Pack(records, 16, options.Seed);
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(model, options);
        Steps steps = new();
        trainer.Run(records, callbacks: [steps]);
        Assert.Multiple(() =>
        {
            Assert.That(sequences, Has.Length.LessThan(records.Length));
            Assert.That(steps.Reports, Has.Count.EqualTo((sequences.Length + 1) / 2));
            Assert.That(options.StepsFor(records), Is.EqualTo(steps.Reports.Count));
            Assert.That(
                steps.Reports.Sum(step => step.Tokens),
                Is.EqualTo(records.Sum(record => record.Tokens.Length)),
                "without padding"
            );
        });
    }

    [TestCase(true, false, null)]
    [TestCase(false, true, null)]
    [TestCase(false, false, 5.0)]
    [TestCase(true, false, 5.0)]
    public void AResumedRunEndsWithTheSameBits(bool packs, bool groups, double? noise)
    {
        EncodedRecord[] records = TinyModels.Records(14, TinyModels.Llama, new Random(31));
        TrainerOptions options = new()
        {
            Steps = 6,
            Batch = 2,
            LearningRate = 1e-2,
            PackTo = packs ? 12 : null,
            GroupByLength = groups,
            NeftuneAlpha = noise,
            LogEvery = 0,
        };
        float[] whole = Train(options, records, stopAfter: null);
        float[] parts = Train(options, records, stopAfter: 3);
        float[] plain = Train(
            options with
            {
                PackTo = null,
                GroupByLength = false,
                NeftuneAlpha = null,
            },
            records,
            stopAfter: null
        );
        Assert.That(parts, Is.EqualTo(whole));
        Assert.That(whole, Is.Not.EqualTo(plain));
    }

    [Test]
    public void NoiseIsOnTheEmbeddingsOfTrainingAlone([Values] bool packs)
    {
        EncodedRecord[] records = TinyModels.Records(6, TinyModels.Llama, new Random(31));
        TrainerOptions options = new()
        {
            Batch = 6,
            PackTo = packs ? 1000 : null,
            LogEvery = 0,
            LearningRate = 0,
        };
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        Batch batch = packs ? Batch.Pack([records]) : Batch.Create(records);
        double expected = Losses.Of(model, batch) / batch.LossTokens;
        Assert.Multiple(() =>
        {
            // A noise of 1e-4 / √(L·D) moves the loss by about as little.
            Assert.That(Loss(options with { NeftuneAlpha = 1e-4 }), Is.EqualTo(expected).Within(1e-4));
            Assert.That(Loss(options with { NeftuneAlpha = 50 }), Is.Not.EqualTo(expected).Within(1e-3));
            Assert.That(Losses.Of(model, batch) / batch.LossTokens, Is.EqualTo(expected), "evaluation has none");
        });

        double Loss(TrainerOptions with)
        {
            using Trainer trainer = new(model, with);
            return trainer.Step(1, [batch], 0).Loss;
        }
    }

    /// <summary>
    /// In transformers 5 Gemma's embedding module scales what it looks up, and the noise is added to the module's
    /// output; Granite's factor comes after the module.
    /// </summary>
    [TestCase("Llama", 1)]
    [TestCase("Gemma", 1)]
    [TestCase("Gemma2", 1)]
    [TestCase("Gemma3", 1)]
    [TestCase("Granite", 3)]
    public void NoiseComesAfterAFactorThatBelongsToTheEmbedding(string name, double factor)
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        // With weights of zero the states after a layer are the noise on embeddings of zero.
        config = config with
        {
            Layers = 1,
            SlidingLayers = null,
            InitializerRange = 0,
        };
        using var model = CausalLanguageModel.Initialize(config, Device, DType.F32, 5);
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(31)));
        float[] noise = [];
        model.AfterLayer = (_, states) => noise = states.ToArray();
        using StepState state = new(Device);
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device) { Noise = new EmbeddingNoise(state, 5) };
        model.Hidden(tape, tensors).Dispose();
        double[] largest = [.. noise.Chunk(config.HiddenSize).Select(row => (double)row.Max(Math.Abs))];
        Assert.Multiple(() =>
        {
            for (int i = 0; i < largest.Length; i++)
            {
                int length = batch.RecordLengths[i];
                double bound = length > 0 ? factor * 5 / Math.Sqrt(length * config.HiddenSize) : 0;
                Assert.That(largest[i], Is.InRange(bound / 2, bound * 1.0001), $"position {i}");
            }
        });
    }

    [Test]
    public void TheNoiseOfARecordIsThatOfItsOwnLength()
    {
        var batch = Batch.Pack([
            [Record(4), Record(9)],
            [Record(2)],
        ]);
        using StepState state = new(Device);
        float[] scales = new EmbeddingNoise(state, 5).Scales(batch.RecordLengths, 16);
        float[] expected =
        [
            .. Enumerable.Repeat(5 / MathF.Sqrt(4 * 16), 4),
            .. Enumerable.Repeat(5 / MathF.Sqrt(9 * 16), 9),
            .. Enumerable.Repeat(5 / MathF.Sqrt(2 * 16), 2),
            .. Enumerable.Repeat(0f, 11),
        ];
        Assert.That(scales, Is.EqualTo(expected).Within(1e-6f));
    }

    [Test]
    public void PackedRowsHaveNoCache()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        using BatchTensors batch = new(
            Device,
            Batch.Pack([
                [Record(3), Record(2)],
            ])
        );
        using KeyValueCache cache = new(model, 1, 8);
        Assert.That(
            () => model.Logits(batch, batch.LossRows, cache),
            Throws.ArgumentException.With.Message.Contains("expected rows of one record")
        );
    }

    private static EncodedRecord Record(int length) => new([.. Enumerable.Range(0, length)], 1, 1, false);

    private static EncodedRecord Joined(EncodedRecord[] records) =>
        new([.. records.SelectMany(record => record.Tokens)], 1, 1, false);

    private double Run(CausalLanguageModel model, Batch batch, bool checkpoint = false)
    {
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
        tape.Backward();
        return loss.ToArray()[0];
    }

    private float[] Train(TrainerOptions options, EncodedRecord[] records, int? stopAfter)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        string state = Folder.File("state");
        if (stopAfter is { } steps)
        {
            using var cancellation = new CancellationTokenSource();
            using Trainer first = new(model, options);
            Assert.That(
                () => first.Run(records, null, [new StopAfter(steps, cancellation)], cancellation.Token),
                Throws.InstanceOf<OperationCanceledException>()
            );
            first.Save(state);
        }
        using CausalLanguageModel resumed = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(resumed, options);
        if (stopAfter is not null)
        {
            using var saved = TrainerState.Open(state);
            trainer.Restore(saved);
        }
        trainer.Run(records);
        return [.. resumed.Trainable!.Masters.SelectMany(master => master.ToArray())];
    }

    private sealed class Done : IProgress<int>
    {
        public int Last { get; private set; }

        public void Report(int value) => Last = value;
    }

    private sealed class Steps : ITrainerCallback
    {
        public List<StepReport> Reports { get; } = [];

        public void OnStep(StepReport report) => Reports.Add(report);
    }

    private sealed class StopAfter(int steps, CancellationTokenSource cancellation) : ITrainerCallback
    {
        public void OnStep(StepReport report)
        {
            if (report.Step == steps)
                cancellation.Cancel();
        }
    }
}
