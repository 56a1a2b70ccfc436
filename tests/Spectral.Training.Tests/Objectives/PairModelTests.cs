using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Objectives;

/// <summary>
/// Losses on pairs and their gradients through whole models, against the published formulas on a double reference.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PairModelTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double: error about 1e-9
    private const double LossTolerance = 2e-5;
    private const double Firm = 0.9; // β of dpo and kto
    private const double Tolerance = 5e-5; // F32 sums through two layers, and slopes from two of them

    [Test]
    public void LossAndGradientsOfEveryFactor(
        [Values("dpo", "kto", "orpo", "simpo")] string name,
        [Values("Llama", "Gemma2", "Gpt2")] string family,
        [Values(false, true)] bool withHead
    )
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(family)!.GetValue(null)!;
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        Adapter adapter = Attach(model, withHead);
        EncodedRecord[] pairs = Pairs(3, config, new Random(4));
        (double loss, PairScores scores) = Run(model, name, [Batch.CreatePairs(pairs)]);

        var factors = adapter
            .Modules.SelectMany(module => module.Factors.Values)
            .ToDictionary(
                factor => factor.Name,
                factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
            );
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        ReferenceModel trained = new(model.Config, weights)
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, factors),
        };
        ReferenceModel untrained = new(model.Config, weights);
        var reference = new ReferencePairs(name, pairs, Firm, record => -untrained.LossSum(Batch.Create([record])));
        double divergence = reference.Divergence(LogProbability);
        (double Loss, PairScores Scores) expected = reference.Of(LogProbability, divergence);
        Assert.Multiple(() =>
        {
            Assert.That(loss, Is.EqualTo(expected.Loss).Within(LossTolerance));
            Assert.That(scores.ChosenReward, Is.EqualTo(expected.Scores.ChosenReward).Within(LossTolerance));
            Assert.That(scores.RejectedReward, Is.EqualTo(expected.Scores.RejectedReward).Within(LossTolerance));
            Assert.That(scores.Accuracy, Is.EqualTo(expected.Scores.Accuracy));
            Assert.That(name != "kto" || family != "Llama" || divergence > 0, "a divergence of 0 would show nothing");
        });
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.Of(
                    factors[parameter.Name],
                    Step,
                    () => reference.Of(LogProbability, divergence).Loss
                ),
                Tolerance,
                parameter.Name
            );
        }

        double LogProbability(EncodedRecord record) => -trained.LossSum(Batch.Create([record]));
    }

    [Test]
    public void MicroBatchesChangeAStepOnlyByRounding([Values("dpo", "kto", "orpo", "simpo")] string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Attach(model, withHead: false);
        EncodedRecord[] pairs = Pairs(5, TinyModels.Llama, new Random(4));
        (double together, PairScores scores) = Run(model, name, [Batch.CreatePairs(pairs)]);
        float[][] expected = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        (double apart, PairScores others) = Run(
            model,
            name,
            [Batch.CreatePairs(pairs[..2]), Batch.CreatePairs(pairs[2..3]), Batch.CreatePairs(pairs[3..])]
        );
        Assert.Multiple(() =>
        {
            Assert.That(apart, Is.EqualTo(together).Within(1e-5));
            Assert.That(others.ChosenReward, Is.EqualTo(scores.ChosenReward).Within(1e-5));
            Assert.That(others.RejectedReward, Is.EqualTo(scores.RejectedReward).Within(1e-5));
            foreach ((Tensor gradient, float[] wanted) in adapter.Parameters.Gradients.Zip(expected))
                Assert.That(gradient.ToArray(), Is.EqualTo(wanted).Within(2e-5f * wanted.Max(Math.Abs)));
        });
    }

    /// <summary>
    /// Single answers are what the sides of pairs are: the same mean over examples, KL, rewards and gradients.
    /// </summary>
    [Test]
    public void SingleAnswersAreTheSidesOfPairs([Values] bool apart)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Attach(model, withHead: false);
        EncodedRecord[] pairs = Pairs(3, TinyModels.Llama, new Random(4));
        (double loss, PairScores scores) = Run(model, "kto", [Batch.CreatePairs(pairs)]);
        float[][] expected = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        EncodedRecord[] good = [.. pairs.Select(pair => pair with { Rejected = null, Label = true })];
        EncodedRecord[] bad = [.. pairs.Select(pair => pair.Rejected! with { Label = false })];
        // a micro-batch of each kind, or one in which good and bad ones change
        EncodedRecord[] mixed = [good[0], bad[0], bad[1], good[1], good[2], bad[2]];
        Batch[] batches = apart ? [Batch.CreatePairs(good), Batch.CreatePairs(bad)] : [Batch.CreatePairs(mixed)];
        (double single, PairScores others) = Run(model, "kto", batches);
        Assert.Multiple(() =>
        {
            Assert.That(single, Is.EqualTo(loss).Within(1e-6));
            Assert.That(others.ChosenReward, Is.EqualTo(scores.ChosenReward).Within(1e-6));
            Assert.That(others.RejectedReward, Is.EqualTo(scores.RejectedReward).Within(1e-6));
            foreach ((Tensor gradient, float[] wanted) in adapter.Parameters.Gradients.Zip(expected))
                Assert.That(gradient.ToArray(), Is.EqualTo(wanted).Within(2e-5f * wanted.Max(Math.Abs)));
        });
    }

    [Test]
    public void LossesThatCompareTakeNoLabels([Values("dpo", "orpo", "simpo")] string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Attach(model, withHead: false);
        EncodedRecord single = Pairs(1, TinyModels.Llama, new Random(4))[0] with { Rejected = null, Label = true };
        Assert.That(
            () => Run(model, name, [Batch.CreatePairs([single])]),
            Throws.TypeOf<InputException>().With.Message.Contains($"{name} compares two answers")
        );
    }

    [Test]
    public void CheckpointingChangesNoBit([Values("dpo", "kto", "orpo", "simpo")] string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Attach(model, withHead: false);
        var batch = Batch.CreatePairs(Pairs(3, TinyModels.Llama, new Random(4)));
        (double loss, _) = Run(model, name, [batch]);
        float[][] expected = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        Assert.That(Run(model, name, [batch], checkpoint: true).Loss, Is.EqualTo(loss));
        Assert.That(adapter.Parameters.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(expected));
    }

    [Test]
    public void DropoutOfTheHeadIsTheSameInBothItsPasses()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Attach(model, withHead: true, dropout: 0.4);
        StepState state = adapter.Parameters.StepState;
        state.SeedDropout(5);
        state.NextBatch();
        var batch = Batch.CreatePairs(Pairs(2, TinyModels.Llama, new Random(4)));
        using BatchTensors tensors = new(Device, batch);
        var seen = new List<float[]>();
        using (Tape tape = new(Device, dropout: state))
        {
            using Tensor sum = model.RowLoss(
                tape,
                tensors,
                losses =>
                {
                    seen.Add(losses);
                    return new RowFactors(0, [new RowGroup(losses.Length, 1)]);
                },
                2,
                false,
                null
            );
            tape.Backward();
        }

        float[][] gradients = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        using (Tape tape = new(Device, dropout: state))
        {
            using Tensor losses = model.TokenLosses(tape, tensors);
            tape.Backward();
            seen.Add(losses.ToArray());
        }

        Assert.That(seen[0], Is.EqualTo(seen[1]));
        Assert.That(adapter.Parameters.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(gradients));
    }

    [Test]
    public void AnEvaluationIsTheMeanOverAllPairs([Values("dpo", "orpo", "simpo")] string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Attach(model, withHead: false);
        EncodedRecord[] pairs = Pairs(5, TinyModels.Llama, new Random(4));
        (double loss, PairScores scores) = Run(model, name, [Batch.CreatePairs(pairs)]);
        List<int> done = [];
        EvaluationResult result = Evaluator.Evaluate(
            model,
            pairs,
            new LossChoice(name) { Settings = Settings(name) },
            2,
            new Progress(done)
        );
        Assert.Multiple(() =>
        {
            Assert.That(result.Loss, Is.EqualTo(loss).Within(1e-6));
            Assert.That(result.PairScores!.ChosenReward, Is.EqualTo(scores.ChosenReward).Within(1e-6));
            Assert.That(result.PairScores.Accuracy, Is.EqualTo(scores.Accuracy));
            Assert.That((result.Records, result.ExactMatch), Is.EqualTo((5, (double?)null)));
            Assert.That(result.Tokens, Is.EqualTo(pairs.Sum(pair => pair.LossTokens + pair.Rejected!.LossTokens)));
            Assert.That(done, Is.EqualTo(new[] { 2, 4, 5 }));
        });
    }

    [Test]
    public void ARecordWithoutARejectedSideIsNoPair() =>
        Assert.That(
            () => Batch.CreatePairs(TinyModels.Records(1, TinyModels.Llama, new Random(1))),
            Throws.ArgumentException.With.Message.Contains("record 0 has no rejected side")
        );

    /// <summary>A β at which losses are far from linear, so that KTO's depends on its KL.</summary>
    private static Dictionary<string, double> Settings(string name) =>
        name is "dpo" or "kto" ? new() { [LossMethod.Beta] = Firm } : [];

    /// <summary>Pairs of records, each with one prompt for both sides.</summary>
    internal static EncodedRecord[] Pairs(int count, ModelConfig config, Random random) =>
        [
            .. TinyModels
                .Records(count, config, random)
                .Select(chosen =>
                {
                    int[] answer = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(12))];
                    return chosen with
                    {
                        Rejected = chosen with { Tokens = [.. chosen.Tokens[..chosen.PromptLength], .. answer] },
                    };
                }),
        ];

    private Adapter Attach(CausalLanguageModel model, bool withHead, double dropout = 0)
    {
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions
                {
                    Rank = 2,
                    Alpha = 3,
                    Seed = 9,
                    Dropout = dropout,
                    TargetModules = withHead
                        ? [model.Linears[0].Name, model.Linears[^1].Name, model.Head.Name]
                        : AdapterOptions.AllProjections,
                }
            )
        );
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        return adapter;
    }

    /// <summary>Runs a step without its update; returns the means over its pairs.</summary>
    private (double Loss, PairScores Scores) Run(
        CausalLanguageModel model,
        string name,
        Batch[] batches,
        bool checkpoint = false
    )
    {
        StepLoss loss = LossMethods.Find(name).Begin(model, Settings(name));
        loss.Begin(batches, RankGroup.Alone);
        int count = batches.Sum(loss.Count);
        using var scale = Tensor.From(Device, [1f / count], 1);
        double sum = 0;
        for (int i = 0; i < batches.Length; i++)
        {
            using BatchTensors tensors = new(Device, batches[i]);
            using Tape tape = new(Device);
            using Tensor part = loss.Run(i, tape, tensors, checkpoint, scale);
            tape.Backward();
            sum += part.ToArray()[0];
        }
        return (sum / count, loss.Total!.Scores!);
    }

    private sealed class Progress(List<int> done) : IProgress<int>
    {
        public void Report(int value) => done.Add(value);
    }
}
