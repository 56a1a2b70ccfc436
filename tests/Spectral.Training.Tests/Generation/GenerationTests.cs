using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Generation;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GenerationTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void TheCacheGivesTheSameLogitsAsTheWholeSequence(
        [Values(
            "Llama",
            "Mistral",
            "Everything",
            "Qwen3",
            "Olmo2",
            "Granite",
            "SmolLm3",
            "Phi3",
            "Glm4",
            "Cohere2",
            "Cohere",
            "Starcoder2",
            "StableLm",
            "StableLmInTurn",
            "StableLmNormed",
            "CohereNormed",
            "Phi",
            "Gpt2",
            "Gemma",
            "Gemma2",
            "Gemma3",
            "Mixtral",
            "Qwen3Moe"
        )]
            string name
    )
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        int[] tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];
        ReferenceModel reference = new(config, TinyModels.Values(model.Trainable!));
        double[][] expected = reference.Logits(tokens);
        using KeyValueCache cache = new(model, 1, tokens.Length);
        const int Prompt = 4;
        for (int t = Prompt; t <= tokens.Length; t++)
        {
            int[] input = t == Prompt ? tokens[..Prompt] : tokens[(t - 1)..t];
            using BatchTensors batch = new(Device, Batch.Of(input));
            using var last = Tensor.From(Device, [input.Length - 1], 1);
            using Tensor logits = model.Logits(batch, last, cache);
            Assert.That(logits.ToArray(), Is.EqualTo(expected[t - 1]).Within(2e-5), $"after {t} tokens");
        }
    }

    [Test]
    public void ExactMatchIsWhatGreedyDecodingGives()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        Random random = new(12);
        List<EncodedRecord> records = [];
        for (int i = 0; i < 24; i++)
        {
            int[] prompt = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(1, 13))];
            int[] completion = [.. TextGenerator.Generate(model, prompt, new GenerationOptions { MaxTokens = 4 })];
            // Half of the records hold the true continuation, with its end token only where the model itself ends
            // there.
            bool ends = completion.Length < 4;
            int[] tokens = [.. prompt, .. completion, .. ends ? new[] { 0 } : []];
            if (i % 2 == 1)
                tokens[^1] = (tokens[^1] + 1) % 13;
            records.Add(new EncodedRecord(tokens, prompt.Length, prompt.Length, false) { HasCompletion = true });
        }
        EvaluationResult result = Evaluator.Evaluate(model, records, batch: 5);
        Assert.That(result.ExactMatch, Is.EqualTo(0.5));
    }

    [Test]
    public void LossIsTheMeanOverLossTokensWhateverTheBatch()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Qwen2, Device));
        EncodedRecord[] records = TinyModels.Records(9, model.Config, new Random(3));
        ReferenceModel reference = new(model.Config, TinyModels.Values(model.Trainable!));
        var all = Batch.Create(records, 0);
        double expected = reference.LossSum(all) / all.LossTokens;
        foreach (int batch in new[] { 1, 4, 9, 100 })
        {
            EvaluationResult result = Evaluator.Evaluate(model, records, batch);
            Assert.That(result.Loss, Is.EqualTo(expected).Within(1e-6 * expected));
            Assert.That(result.Perplexity, Is.EqualTo(Math.Exp(expected)).Within(1e-5 * Math.Exp(expected)));
            Assert.That(result.Tokens, Is.EqualTo(all.LossTokens));
        }
    }

    [Test]
    public void SamplingFollowsItsSeedAndStaysInTheNucleus()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        int[] prompt = [1, 2, 3];
        int[] Sample(ulong seed, double topP) =>
            TextGenerator.Generate(
                model,
                prompt,
                new GenerationOptions
                {
                    MaxTokens = 12,
                    Temperature = 2,
                    TopP = topP,
                    Seed = seed,
                }
            );
        int[] greedy = TextGenerator.Generate(model, prompt, new GenerationOptions { MaxTokens = 12 });
        Assert.Multiple(() =>
        {
            Assert.That(Sample(1, 1), Is.EqualTo(Sample(1, 1)));
            Assert.That(
                Enumerable.Range(0, 8).Select(seed => string.Join(' ', Sample((ulong)seed, 1))).Distinct().Count(),
                Is.GreaterThan(4)
            );
            Assert.That(Sample(7, 1e-6), Is.EqualTo(greedy));
        });
    }

    /// <summary>
    /// The mean of 4096 uniform numbers strays from 1/2 by 0.0045 (standard deviation), their variance from 1/12 by
    /// 0.0012, their correlation with their neighbours from 0 by 0.016; five of each are allowed. Even steps have
    /// differences that are all the same.
    /// </summary>
    [Test]
    public void SeedsThatAreNeighboursDrawIndependently()
    {
        const int Seeds = 4096;
        double[] first = [.. Enumerable.Range(0, Seeds).Select(seed => new SamplingDraws(Device, (ulong)seed, 1)[0])];
        Assert.That(first.Average(), Is.EqualTo(0.5).Within(0.023));
        Assert.That(first.Select(x => (x - 0.5) * (x - 0.5)).Average(), Is.EqualTo(1.0 / 12).Within(0.006));
        double neighbours = Enumerable.Range(1, Seeds - 1).Average(i => (first[i] - 0.5) * (first[i - 1] - 0.5)) * 12;
        Assert.That(neighbours, Is.EqualTo(0).Within(0.08));
        double[] steps = [.. Enumerable.Range(1, Seeds - 1).Select(i => (first[i] - first[i - 1] + 1) % 1)];
        Assert.That(
            steps.Select(x => (x - 0.5) * (x - 0.5)).Average(),
            Is.EqualTo(1.0 / 12).Within(0.006),
            "steps are not even"
        );
    }

    [Test]
    public void ALongerTextOfOneSeedBeginsAsTheShorter()
    {
        SamplingDraws few = new(Device, 7, 3);
        SamplingDraws many = new(Device, 7, 100);
        Assert.That(
            Enumerable.Range(0, 3).Select(i => few[i]),
            Is.EqualTo(Enumerable.Range(0, 3).Select(i => many[i]))
        );
        Assert.That(Enumerable.Range(0, 100).Select(i => many[i]).Distinct().Count(), Is.EqualTo(100));
    }

    [Test]
    public void MorePositionsThanTheModelHasAreRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        Assert.That(
            () => TextGenerator.Generate(model, [1], new GenerationOptions { MaxTokens = 64 }),
            Throws.TypeOf<InputException>().With.Message.Contains("64 positions")
        );
        Assert.That(() => TextGenerator.Generate(model, [], new GenerationOptions()), Throws.TypeOf<InputException>());
    }

    [Test]
    public void ALargeVocabularyIsScoredInPieces([Values(0, 0.2f)] float softCap)
    {
        // 600 rows of 20,000 logits are more than the loss head holds at a time.
        double Capped(double logit) => softCap > 0 ? softCap * Math.Tanh(logit / softCap) : logit;
        const int Rows = 600;
        const int Vocabulary = 20000;
        const int Width = 4;
        Random random = new(3);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
        int[] targets = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(Vocabulary))];
        float[] hidden = Values(Rows * Width);
        float[] head = Values(Vocabulary * Width);
        ParameterSet parameters = Keep(new ParameterSet(Device, [("head", (Vocabulary, Width))]));
        parameters.Parameters[0].Master.CopyFrom(head);
        using Tape tape = new(Device);
        using Variable x = new(Tensor.From(Device, hidden, (Rows, Width)), new LeafNode());
        using var target = Tensor.From(Device, targets, Rows);
        using var losses = Tensor.Empty(Device, Rows);
        LossHead.Run(tape, x, new Linear("head", parameters.Parameters[0], null), target, losses, softCap: softCap);
        using Tensor gradient = x.Node!.TakeGradient()!;
        float[] actual = losses.ToArray();
        float[] dx = gradient.ToArray();
        foreach (int row in new[] { 0, 418, 419, 420, Rows - 1 })
        {
            double[] given =
            [
                .. Enumerable
                    .Range(0, Vocabulary)
                    .Select(v =>
                        Enumerable.Range(0, Width).Sum(i => (double)hidden[row * Width + i] * head[v * Width + i])
                    ),
            ];
            double[] logits = Array.ConvertAll(given, Capped);
            double[] slopes = Array.ConvertAll(logits, z => softCap > 0 ? 1 - z / softCap * z / softCap : 1);
            double total = logits.Sum(Math.Exp);
            Assert.That(actual[row], Is.EqualTo(Math.Log(total) - logits[targets[row]]).Within(1e-5));
            for (int i = 0; i < Width; i++)
            {
                double expected =
                    Enumerable
                        .Range(0, Vocabulary)
                        .Sum(v => Math.Exp(logits[v]) / total * slopes[v] * head[v * Width + i])
                    - slopes[targets[row]] * head[targets[row] * Width + i];
                Assert.That(dx[row * Width + i], Is.EqualTo(expected).Within(1e-5));
            }
        }
    }
}
