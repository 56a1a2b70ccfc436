using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// Several adapters on one base: each record of a mixed batch scores and continues as with its adapter attached alone.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdapterSetTests(DeviceKind kind) : TrainingTest(kind)
{
    private static IEnumerable<string> Methods => AdapterMethods.All.Select(method => method.Name);

    [TestCaseSource(nameof(Methods))]
    public void EveryMethodBesideALoraScoresAsByItself(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        bool hasPrompt = method is PromptMethod or TapSlfMethod;
        CausalLanguageModel model = Open(TinyModels.Llama, method);
        double lora = Write(model, "lora", AdapterMethods.Find("lora"), 5);
        double other = Write(model, "other", method, 6);
        double plain = Loss(model);
        using var set = new AdapterSet(model);
        set.Add("a", At("lora"));
        set.Add("b", At("other"));
        Assert.That(set.Names, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(set.WhyAlone("a"), Is.Null);
        Assert.That(
            set.WhyAlone("b") is null,
            Is.EqualTo(!hasPrompt && !method.RequantizesBase && !method.FollowsTokens)
        );
        EncodedRecord[] mixed =
        [
            .. Records(model).Zip(["b", "a", null, "b", "a"], (record, adapter) => record with { Adapter = adapter }),
            .. Records(model).Zip([null, "b", "b", "a", null], (record, adapter) => record with { Adapter = adapter }),
            .. Records(model).Zip(["a", null, "a", null, "b"], (record, adapter) => record with { Adapter = adapter }),
        ];
        foreach (int? packTo in (int?[])(hasPrompt ? [null] : [null, 16]))
        {
            AdapterScores scores = Evaluator.Evaluate(model, set, mixed, batch: 4, packTo: packTo);
            Assert.That(scores.Adapters.Select(adapter => adapter.Name), Is.EqualTo(new[] { "a", "b" }));
            // Each record was for each of the three once.
            Verify(scores.Adapters[0].Result!, lora);
            Verify(scores.Adapters[1].Result!, other);
            Verify(scores.Base!, plain);
            Verify(scores.Result, (lora + other + plain) / 3);
            Assert.That(scores.Result.Records, Is.EqualTo(15));
        }
        Assert.That(Math.Abs(lora - plain), Is.GreaterThan(1e-4), "the adapters change something");

        static void Verify(EvaluationResult scores, double loss) =>
            Assert.That(scores.Loss, Is.EqualTo(loss).Within(1e-6 * loss));
    }

    [Test]
    public void PromptsOfSeveralLengthsContinueAsOneByOne(
        [Values("Llama", "Mistral", "Gpt2", "Gemma2", "Phi3", "Qwen3Moe", "Cohere2")] string name,
        [Values(0, 1.5)] double temperature
    )
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        CausalLanguageModel model = Open(config);
        AdapterMethod lora = AdapterMethods.Find("lora");
        AdapterOptions options = new() { Rank = 2, TargetModules = [.. TargetsIn(model)] };
        Write(model, "one", lora, 5, options);
        Write(model, "two", lora, 6, options);
        int[][] prompts =
        [
            [3, 1, 4],
            [1, 5, 9, 2, 6, 5],
            [7],
            [2, 7, 1, 8],
            [5, 5],
            [4, 2, 4, 2, 4],
        ];
        string?[] names = ["two", "one", null, "one", "two", null];
        GenerationOptions how = new()
        {
            MaxTokens = 5,
            EndTokenIds = [],
            Temperature = temperature,
            Seed = 3,
        };
        int[][] expected = new int[prompts.Length][];
        for (int i = 0; i < prompts.Length; i++)
        {
            using Adapter? adapter = names[i] is { } folder ? Adapter.Load(model, At(folder)) : null;
            expected[i] = TextGenerator.Generate(model, prompts[i], how);
        }
        Assert.That(expected.Select(tokens => string.Join(' ', tokens)).Distinct().Count(), Is.GreaterThan(2));
        using var set = new AdapterSet(model);
        set.Add("one", At("one"));
        set.Add("two", At("two"));
        Assert.That(TextGenerator.GenerateAll(model, prompts, names, how), Is.EqualTo(expected));
        Assert.That(TextGenerator.GenerateAll(model, prompts, names, how, batch: 4), Is.EqualTo(expected));

        // A row that ends early does not disturb the others.
        int end = expected[0][1];
        GenerationOptions ending = how with { EndTokenIds = [end] };
        Assert.That(
            TextGenerator.GenerateAll(model, prompts, names, ending),
            Is.EqualTo(expected.Select(tokens => tokens.TakeWhile(token => token != end)))
        );
    }

    [Test]
    public void ASoftPromptContinuesItsPromptsByItself()
    {
        CausalLanguageModel model = Open(TinyModels.Llama);
        Write(model, "one", AdapterMethods.Find("lora"), 5);
        Write(model, "two", AdapterMethods.Find("prefix-tuning"), 6);
        int[][] prompts =
        [
            [3, 1, 4],
            [1, 5, 9, 2],
            [7],
            [3, 1, 4],
        ];
        string?[] names = ["two", "one", "two", null];
        GenerationOptions how = new() { MaxTokens = 5, EndTokenIds = [] };
        int[][] expected = new int[prompts.Length][];
        for (int i = 0; i < prompts.Length; i++)
        {
            using Adapter? adapter = names[i] is { } folder ? Adapter.Load(model, At(folder)) : null;
            expected[i] = TextGenerator.Generate(model, prompts[i], how);
        }
        using var set = new AdapterSet(model);
        set.Add("one", At("one"));
        set.Add("two", At("two"));
        List<int> done = [];
        ProgressList progress = new(done);
        Assert.That(TextGenerator.GenerateAll(model, prompts, names, how, progress: progress), Is.EqualTo(expected));
        Assert.That(done, Is.Ordered.And.Member(4));
    }

    [Test]
    public void AdaptersComeAndGoWhileOthersStay()
    {
        CausalLanguageModel model = Open(TinyModels.Llama);
        double one = Write(model, "one", AdapterMethods.Find("lora"), 5);
        double two = Write(model, "two", AdapterMethods.Find("ia3"), 6);
        double plain = Loss(model);
        long before = Device.Memory.InUse;
        using (var set = new AdapterSet(model))
        {
            Assert.That(Loss(model), Is.EqualTo(plain), "an empty set is the base");
            set.Add("one", At("one"));
            long alone = Device.Memory.InUse;
            Assert.That(Loss(model, "one"), Is.EqualTo(one).Within(1e-6));
            double exact = Loss(model, "one");
            set.Add("two", At("two"));
            Assert.That(Loss(model, "two"), Is.EqualTo(two).Within(1e-6));
            Assert.That(Loss(model, "one"), Is.EqualTo(exact));
            Assert.That(Loss(model), Is.EqualTo(plain));
            set.Remove("two");
            Assert.That(Device.Memory.InUse, Is.EqualTo(alone), "its memory is free again");
            Assert.That(Loss(model, "one"), Is.EqualTo(exact));
            Assert.That(
                () => Loss(model, "two"),
                Throws.TypeOf<InputException>().With.Message.EqualTo("unknown adapter 'two', known: 'one'")
            );
            set.Add("two", At("one"));
            Assert.That(Loss(model, "two"), Is.EqualTo(exact));
            using (set.Alone("two"))
                Assert.That(Loss(model, "one"), Is.EqualTo(one), "one adapter for all records");
            Assert.That(Loss(model), Is.EqualTo(plain));
            Assert.That((model.Trainable, Adapter.Of(model)), Is.EqualTo(((object?)null, (Adapter?)null)));
            Assert.That(() => new AdapterSet(model), Throws.InvalidOperationException.With.Message.Contains("detach"));
            Assert.That(
                () => Adapter.Load(model, At("one")),
                Throws.InvalidOperationException.With.Message.Contains("has an adapter already")
            );
        }
        Assert.That(Device.Memory.InUse, Is.EqualTo(before));
        Assert.That(Loss(model), Is.EqualTo(plain));
    }

    [Test]
    public void WhatCannotRunBesideOthersSaysWhy([Values("whole", "biases", "tokens", "head", "experts")] string what)
    {
        (ModelConfig config, AdapterOptions options, string why) = what switch
        {
            "whole" => (TinyModels.Llama, new AdapterOptions { ModulesToSave = ["lm_head"] }, "whole weights"),
            "biases" => (
                TinyModels.Everything,
                new AdapterOptions { TargetModules = ["q_proj"], Bias = AdapterBias.All },
                "whole weights"
            ),
            "tokens" => (
                TinyModels.Qwen2,
                new AdapterOptions
                {
                    TrainableTokens = [KeyValuePair.Create("embed_tokens", (IReadOnlyList<int>)[1, 3])],
                },
                "whole weights"
            ),
            "head" => (
                TinyModels.Llama,
                new AdapterOptions { TargetModules = ["q_proj", "lm_head"] },
                "lm_head, which is outside the blocks"
            ),
            _ => (
                TinyModels.Qwen3Moe,
                new AdapterOptions { TargetModules = ["q_proj", "up_proj"] },
                "an expert, which sees some of the tokens"
            ),
        };
        CausalLanguageModel model = Open(config);
        double loss = Write(model, "adapter", AdapterMethods.Find("lora"), 5, options with { Rank = 2 });
        double plain = Loss(model);
        using var set = new AdapterSet(model);
        set.Add("x", At("adapter"));
        Assert.That(set.WhyAlone("x"), Does.Contain(why));
        Assert.That(
            () => Loss(model, "x"),
            Throws.TypeOf<InputException>().With.Message.Contains("adapter 'x' cannot run beside others, since it")
        );
        EncodedRecord[] records = Records(model);
        AdapterScores scores = Evaluator.Evaluate(
            model,
            set,
            [.. records, .. records.Select(record => record with { Adapter = "x" })]
        );
        Assert.That(scores.Base!.Loss, Is.EqualTo(plain).Within(1e-6));
        Assert.That(scores.Adapters[0].Result!.Loss, Is.EqualTo(loss).Within(1e-6));
    }

    [Test]
    public void NamesAndFoldersThatDoNotFitAreRefused()
    {
        CausalLanguageModel model = Open(TinyModels.Llama);
        Write(model, "one", AdapterMethods.Find("lora"), 5);
        using (var set = new AdapterSet(model))
        {
            Refused(() => set.Remove("x"), "unknown adapter 'x', known: none");
            set.Add("one", At("one"));
            Refused(() => set.Add("one", At("one")), "there is an adapter 'one' already");
            Refused(() => set.WhyAlone("x"), "unknown adapter 'x', known: 'one'");
            Refused(() => set.Alone("x"), "unknown adapter 'x', known: 'one'");
            Refused(() => set.Add("two", At("two")), At("two"));
            Assert.That(set.Names, Is.EqualTo(new[] { "one" }));
            File.Delete(Path.Combine(At("one"), "adapter_model.safetensors"));
            Refused(() => set.Alone("one"), "adapter_model.safetensors");
            Assert.That(Loss(model, "one"), Is.GreaterThan(0), "the set is attached again");
        }

        CausalLanguageModel other = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        Assert.That(() => new AdapterSet(other), Throws.InvalidOperationException.With.Message.Contains("train"));
        using TemporaryFolder small = new();
        CausalLanguageModel narrow = Keep(
            TinyModels.Frozen(TinyModels.Llama with { IntermediateSize = 12 }, Device, small)
        );
        Write(model, "one", AdapterMethods.Find("lora"), 5);
        using var wrong = new AdapterSet(narrow);
        Refused(() => wrong.Add("one", At("one")), "another model");

        static void Refused(Action action, string message) =>
            Assert.That(() => action(), Throws.TypeOf<InputException>().With.Message.Contains(message));
    }

    private string At(string name) => Path.Combine(Folder.Path, name);

    private CausalLanguageModel Open(ModelConfig config, AdapterMethod? method = null) =>
        Keep(
            TinyModels.Frozen(config, Device, Folder, quantization: method is null ? null : TestAdapters.BaseOf(method))
        );

    private static EncodedRecord[] Records(CausalLanguageModel model) =>
        TinyModels.Records(5, model.Config, new Random(3));

    /// <summary>All layers that see all tokens, without routers.</summary>
    private static IEnumerable<string> TargetsIn(CausalLanguageModel model) =>
        model
            .Linears.Where(linear => linear.Siblings.ReadsAllTokens && !linear.Name.Contains("gate"))
            .Select(linear => linear.Name);

    /// <summary>Writes a trained adapter and returns the loss with it attached alone.</summary>
    private double Write(
        CausalLanguageModel model,
        string name,
        AdapterMethod method,
        int seed,
        AdapterOptions? options = null
    )
    {
        options ??= new AdapterOptions
        {
            InvocationTokens = [3],
            Rank = 2,
            TopK = 2,
            Alpha = 3,
            Seed = 9,
        };
        using (Adapter adapter = TestAdapters.Attach(model, method, options))
        {
            TestAdapters.Perturb(adapter, seed);
            adapter.Save(At(name));
        }
        using var loaded = Adapter.Load(model, At(name));
        return Loss(model);
    }

    private static double Loss(CausalLanguageModel model, string? adapter = null) =>
        Evaluator
            .Evaluate(model, [.. Records(model).Select(record => record with { Adapter = adapter })], batch: 2)
            .Loss;

    private sealed class ProgressList(List<int> values) : IProgress<int>
    {
        public void Report(int value) => values.Add(value);
    }
}
