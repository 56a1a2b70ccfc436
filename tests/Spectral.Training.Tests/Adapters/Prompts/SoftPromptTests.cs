using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Prompts;

/// <summary>
/// Virtual tokens before the input and before the keys: loss and gradients against the double reference, and equality
/// with what the model computes for real tokens.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SoftPromptTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5;
    private const double Tolerance = 2e-5; // as for the whole model (ModelGradientTests)

    private static readonly string[] Plain = ["prompt-tuning", "prefix-tuning"];

    [Test]
    public void LossAndGradientsFollowTheReference(
        [ValueSource(nameof(Plain))] string method,
        [Values("Llama", "Qwen2", "Mistral", "Everything", "Gemma2", "Gemma3", "Gpt2")] string name
    )
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))));
        TestAdapters.Randomize(prompt, 7);
        prompt.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(3)), 0);
        double loss = Losses.WithGradients(model, batch);

        Parameter factor = prompt.Parameters.Parameters.Single();
        double[] values = Array.ConvertAll(factor.Master.ToArray(), value => (double)value);
        ReferenceModel reference = Reference(method, model.Config, values);
        double expected = reference.LossSum(batch);
        Assert.That(loss, Is.EqualTo(expected).Within(2e-6 * expected));
        VerifyGradient(
            factor.Gradient!.ToArray(),
            CentralDifferences.Of(values, Step, () => reference.LossSum(batch)),
            Tolerance,
            factor.Name
        );
    }

    /// <summary>
    /// The network's own arithmetic in double, by PEFT's definition: two ReLU layers, or a tanh layer, of linear layers
    /// x Wᵀ + b.
    /// </summary>
    [Test]
    public void EveryWeightOfAnEncoderHasTheGradientOfTheReference(
        [Values("p-tuning", "prefix-tuning")] string method,
        [Values("Llama", "Everything")] string name
    )
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        AdapterOptions options = Options(("virtual-tokens", 3), ("encoder-hidden", 5));
        if (method == "prefix-tuning")
            options = options.With("projection", 1);
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), options));
        TestAdapters.Randomize(prompt, 7);
        prompt.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(3)), 0);
        double loss = Losses.WithGradients(model, batch);

        var factors = prompt.Parameters.Parameters.ToDictionary(
            factor => factor.Name[(PromptMethod.Module.Length + 1)..],
            factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
        );
        double expected = LossSum();
        Assert.That(loss, Is.EqualTo(expected).Within(2e-6 * expected));
        foreach (Parameter factor in prompt.Parameters.Parameters)
        {
            double[] values = factors[factor.Name[(PromptMethod.Module.Length + 1)..]];
            double[] differences = CentralDifferences.Of(values, Step, LossSum);
            VerifyGradient(factor.Gradient!.ToArray(), differences, Tolerance, factor.Name);
        }

        double LossSum()
        {
            double[] x = factors["embedding.weight"];
            double[] made =
                method == "p-tuning"
                    ? Linear("mlp_head.4", Relu(Linear("mlp_head.2", Relu(Linear("mlp_head.0", x)))))
                    : Linear("transform.2", Array.ConvertAll(Linear("transform.0", x), Math.Tanh));
            return Reference(method, model.Config, made).LossSum(batch);
        }

        double[] Linear(string layer, double[] x)
        {
            (double[] weight, double[] bias) = (factors[$"{layer}.weight"], factors[$"{layer}.bias"]);
            int inputs = weight.Length / bias.Length;
            return
            [
                .. x.Chunk(inputs)
                    .SelectMany(row =>
                        bias.Select((b, o) => b + row.Select((value, i) => value * weight[(o * inputs) + i]).Sum())
                    ),
            ];
        }
    }

    /// <summary>As for the micro-batches of a step, whether the tokens are the factor or made of factors.</summary>
    [Test]
    public void GradientsOfBatchesAddUp([Values("prompt-tuning", "p-tuning", "prefix-tuning")] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))));
        TestAdapters.Randomize(prompt, 7);
        prompt.Parameters.EnableGradients();
        Batch[] batches =
        [
            .. new[] { 4, 5 }.Select(seed => Batch.Create(TinyModels.Records(2, model.Config, new Random(seed)), 0)),
        ];
        double[][] apart =
        [
            .. batches.Select(batch =>
            {
                prompt.Parameters.ClearGradients();
                Losses.WithGradients(model, batch);
                return Gradients();
            }),
        ];
        prompt.Parameters.ClearGradients();
        foreach (Batch batch in batches)
            Losses.WithGradients(model, batch);
        double largest = apart.Max(one => one.Max(Math.Abs));
        Assert.That(apart, Has.All.Some.Not.Zero);
        Assert.That(Gradients(), Is.EqualTo(apart[0].Zip(apart[1], (x, y) => x + y)).Within(1e-6 * largest));

        double[] Gradients() =>
            [.. prompt.Parameters.Parameters.SelectMany(factor => factor.Gradient!.ToArray()).Select(x => (double)x)];
    }

    [Test]
    public void APromptOfTheEmbeddingsOfRealTokensGivesTheBitsOfTheseTokens(
        [Values] DType type,
        [Values("Llama", "Granite", "Gemma2")] string name
    )
    {
        if (type is not (DType.F32 or DType.BF16))
            return;
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config(name), Device, Folder, type));
        int[] first = [3, 1, 4, 1];
        int[] rest = [5, 9, 2, 6, 5];
        float[] expected = Logits(model, [.. first, .. rest])[first.Length..].SelectMany(row => row).ToArray();
        AdapterOptions options = Options(("virtual-tokens", first.Length), ("init", 2)) with
        {
            PromptText = new PromptText("text", first),
        };
        Keep(Adapter.Attach(model, AdapterMethods.Find("prompt-tuning"), options));
        Assert.That(Logits(model, rest).SelectMany(row => row), Is.EqualTo(expected));
    }

    /// <summary>
    /// A prefix of what the cache holds of real tokens: rotated keys, and values. Equal up to the order of sums, which
    /// the composed attention does not fix.
    /// </summary>
    [Test]
    public void APrefixOfTheCacheOfRealTokensGivesTheLogitsOfGoingOnFromIt(
        [Values("Llama", "Qwen2", "Mistral", "Everything", "Gpt2")] string name
    )
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        int[] first = [3, 1, 4, 1];
        int[] rest = [5, 9, 2, 6, 5];
        float[] expected = Logits(model, [.. first, .. rest])[first.Length..].SelectMany(row => row).ToArray();
        float[] cached = Cached(model, first);
        Adapter prefix = Keep(
            Adapter.Attach(model, AdapterMethods.Find("prefix-tuning"), Options(("virtual-tokens", first.Length)))
        );
        prefix.Parameters.Parameters.Single().Master.CopyFrom(cached);
        prefix.Parameters.NotifyChanged();
        Assert.That(Logits(model, rest).SelectMany(row => row), Is.EqualTo(expected).Within(2e-6));
    }

    [Test]
    public void GenerationWithACacheGivesTheLogitsOfTheWholeSequence(
        [ValueSource(nameof(Plain))] string method,
        [Values("Llama", "Mistral", "Everything", "Gemma2", "Gemma3")] string name,
        [Values(1, 4)] int prefill
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config(name), Device, Folder));
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))));
        TestAdapters.Randomize(prompt, 7);
        int[] tokens = [3, 1, 4, 1, 5, 9, 2];
        float[][] expected = Logits(model, tokens);
        using KeyValueCache cache = new(model, 1, 3 + tokens.Length);
        for (int t = prefill; t <= tokens.Length; t++)
        {
            int[] input = t == prefill ? tokens[..prefill] : tokens[(t - 1)..t];
            using BatchTensors batch = new(Device, Batch.Of(input));
            using var last = Tensor.From(Device, [input.Length - 1], 1);
            using Tensor logits = model.Logits(batch, last, cache);
            Assert.That(logits.ToArray(), Is.EqualTo(expected[t - 1]).Within(2e-5), $"after {t} tokens");
        }
        Assert.That(cache.Length, Is.EqualTo(3 + tokens.Length));
    }

    [Test]
    public void CheckpointingChangesNoBit([Values("prompt-tuning", "p-tuning", "prefix-tuning")] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder));
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))));
        prompt.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        Losses.WithGradients(model, batch);
        float[][] plain = [.. prompt.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        Assert.That(plain.SelectMany(gradient => gradient).Any(value => value != 0));
        prompt.Parameters.ClearGradients();
        Checkpointed(model, batch);
        Assert.That(prompt.Parameters.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(plain));
    }

    [Test]
    public void PaddingChangesNoLoss([ValueSource(nameof(Plain))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder));
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))));
        prompt.Parameters.EnableGradients();
        EncodedRecord[] records = TinyModels.Records(5, model.Config, new Random(8), longest: 12);
        double together = Losses.WithGradients(model, Batch.Create(records, 3));
        double apart = records.Sum(record => Losses.WithGradients(model, Batch.Create([record], 0)));
        Assert.That(together, Is.EqualTo(apart).Within(2e-6 * apart));
    }

    [Test]
    public void TheModelIsItselfAgainWithoutThePrompt([ValueSource(nameof(Plain))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        int[] tokens = [3, 1, 4, 1, 5];
        float[][] before = Logits(model, tokens);
        using (Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 3))))
            Assert.That(Logits(model, tokens), Is.Not.EqualTo(before));
        Assert.That(Logits(model, tokens), Is.EqualTo(before));
    }

    [Test]
    public void AStartFromTheVocabularyIsRowsOfTheEmbedding()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        AdapterOptions options = Options(("virtual-tokens", 40), ("init", 1));
        float[][] Start(ulong seed)
        {
            using var prompt = Adapter.Attach(
                model,
                AdapterMethods.Find("prompt-tuning"),
                options with
                {
                    Seed = seed,
                }
            );
            return [.. prompt.Parameters.Parameters.Single().Master.ToArray().Chunk(model.Config.HiddenSize)];
        }
        float[][] table = [.. model.Embedding.Weight.Value.ToArray().Chunk(model.Config.HiddenSize)];
        float[][] rows = Start(1);
        int[] drawn = Array.ConvertAll(rows, row => Array.FindIndex(table, other => other.SequenceEqual(row)));
        Assert.Multiple(() =>
        {
            Assert.That(drawn, Is.All.GreaterThanOrEqualTo(0));
            Assert.That(drawn.Distinct().Count(), Is.GreaterThan(5));
            Assert.That(Start(1), Is.EqualTo(rows));
            Assert.That(Start(2), Is.Not.EqualTo(rows));
        });
    }

    [Test]
    public void ATextThatIsShorterThanThePromptIsRepeatedAndALongerOneCut([Values(2, 5)] int count)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        AdapterOptions options = Options(("virtual-tokens", count), ("init", 2)) with
        {
            PromptText = new PromptText("text", [7, 2, 11]),
        };
        Adapter prompt = Keep(Adapter.Attach(model, AdapterMethods.Find("prompt-tuning"), options));
        float[][] table = [.. model.Embedding.Weight.Value.ToArray().Chunk(model.Config.HiddenSize)];
        int[] expected = [.. new[] { 7, 2, 11, 7, 2 }.Take(count)];
        Assert.That(
            prompt.Parameters.Parameters.Single().Master.ToArray().Chunk(model.Config.HiddenSize),
            Is.EqualTo(expected.Select(token => table[token]))
        );
    }

    [Test]
    public void SequencesThatAreTooLongWithTheVirtualTokensAreRefused([ValueSource(nameof(Plain))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Keep(Adapter.Attach(model, AdapterMethods.Find(method), Options(("virtual-tokens", 60))));
        int[] tokens = [3, 1, 4, 1, 5];
        GenerationOptions four = new() { MaxTokens = 4 };
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Logits(model, tokens),
                Throws.ArgumentException.With.Message.Contains("65 positions asked for, 60 of them virtual tokens")
            );
            Assert.That(
                () => TextGenerator.Generate(model, [1, 2], four),
                Throws
                    .TypeOf<InputException>()
                    .With.Message.EqualTo(
                        "60 virtual tokens, prompt (2 tokens) and continuation (4) exceed the model's 64 positions"
                    )
            );
            Assert.That(Logits(model, tokens[..4]), Has.Length.EqualTo(4));
        });
    }

    [TestCase("virtual-tokens", 0, "setting virtual-tokens=0: expected a whole number from 1 to 65536")]
    [TestCase("init", 2, "setting init=text: expected --prompt-text with the text to start from")]
    public void ImpossibleSettingsAreRefused(string setting, double value, string message)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Assert.That(
            () => Adapter.Attach(model, AdapterMethods.Find("prompt-tuning"), Options((setting, value))),
            Throws.TypeOf<InputException>().With.Message.EqualTo(message)
        );
        Assert.That(model.Adapter, Is.Null);
    }

    [Test]
    public void WhatWouldChangeLayersIsRefused([ValueSource(nameof(Plain))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        foreach (
            (AdapterOptions options, string what) in new[]
            {
                (new AdapterOptions { TargetModules = ["q_proj"] }, "target modules q_proj"),
                (new AdapterOptions { ModulesToSave = ["lm_head"] }, "modules to train whole lm_head"),
                (
                    new AdapterOptions { TrainableTokens = [new("embed_tokens", [1])] },
                    "trainable tokens of embed_tokens"
                ),
                (new AdapterOptions { RankPattern = [new("q_proj", 2)] }, "patterns of q_proj"),
            }
        )
        {
            Assert.That(
                () => Adapter.Attach(model, AdapterMethods.Find(method), options),
                Throws
                    .TypeOf<InputException>()
                    .With.Message.EqualTo($"{what}: {method} trains virtual tokens and changes no layer, expected none")
            );
        }
    }

    [Test]
    public void ASecondAdapterIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Keep(Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions()));
        Assert.That(
            () => Adapter.Attach(model, AdapterMethods.Find("prompt-tuning"), new AdapterOptions()),
            Throws.InvalidOperationException.With.Message.Contains("the model has an adapter already")
        );
    }

    private static double[] Relu(double[] x) => Array.ConvertAll(x, value => Math.Max(0, value));

    private static AdapterOptions Options(params (string Name, double Value)[] settings) =>
        new() { Seed = 5, Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value) };

    private static ModelConfig Config(string name) =>
        (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;

    private ReferenceModel Reference(string method, ModelConfig config, double[] tokens) =>
        method == "prefix-tuning"
            ? new ReferenceModel(config, TestAdapters.Weights(Folder.Path)) { Prefix = tokens }
            : new ReferenceModel(config, TestAdapters.Weights(Folder.Path)) { Prompt = tokens };

    /// <summary>The loss and, added to the gradients, those of a pass that recomputes activations.</summary>
    private double Checkpointed(CausalLanguageModel model, Batch batch)
    {
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint: true);
        tape.Backward();
        return loss.ToArray()[0];
    }

    private float[][] Logits(CausalLanguageModel model, int[] tokens)
    {
        using BatchTensors batch = new(Device, Batch.Of(tokens));
        using var rows = Tensor.From(Device, [.. Enumerable.Range(0, tokens.Length)], tokens.Length);
        using Tensor logits = model.Logits(batch, rows);
        return [.. logits.ToArray().Chunk(model.Config.VocabularySize)];
    }

    /// <summary>The cached keys and values of tokens in the layout of a prefix: [n, layers, 2, KV, hd].</summary>
    private float[] Cached(CausalLanguageModel model, int[] tokens)
    {
        ModelConfig config = model.Config;
        (int groups, int size) = (config.KeyValueHeads, config.HeadDimension);
        using KeyValueCache cache = new(model, 1, tokens.Length);
        using BatchTensors batch = new(Device, Batch.Of(tokens));
        using var last = Tensor.From(Device, [tokens.Length - 1], 1);
        using Tensor logits = model.Logits(batch, last, cache);
        float[] prefix = new float[tokens.Length * config.Layers * 2 * groups * size];
        for (int layer = 0; layer < config.Layers; layer++)
        {
            float[][] parts = [cache[layer].Keys.ToArray(), cache[layer].Values.ToArray()];
            for (int part = 0; part < 2; part++)
            {
                for (int t = 0; t < tokens.Length; t++)
                {
                    for (int group = 0; group < groups; group++)
                    {
                        int to = ((((t * config.Layers + layer) * 2 + part) * groups) + group) * size;
                        parts[part].AsSpan(((group * tokens.Length) + t) * size, size).CopyTo(prefix.AsSpan(to));
                    }
                }
            }
        }
        return prefix;
    }
}
