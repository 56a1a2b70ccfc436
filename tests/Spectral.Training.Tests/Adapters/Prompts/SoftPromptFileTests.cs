using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Prompts;

/// <summary>
/// Folders of soft prompts. The layout is that of PEFT 0.20 (<c>PromptLearningConfig</c>, <c>BasePromptEncoder</c>,
/// <c>_prepare_prompt_learning_config</c>): one tensor <c>prompt_embeddings</c> without a module, and for a prefix the
/// sizes of the keys in place of those of the model.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SoftPromptFileTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly string[] Methods = ["prompt-tuning", "p-tuning", "prefix-tuning"];

    // Grouped heads whose width is not that of the residual stream: 2 layers, keys of 2 · 4, hidden 12.
    private static readonly ModelConfig Config = TinyModels.Llama;

    private string Saved => Path.Combine(Folder.Path, "adapter");

    [TestCase(
        "prompt-tuning",
        """
            {"auto_mapping":null,"base_model_name_or_path":"BASE","inference_mode":true,"modules_to_save":null,
             "num_attention_heads":4,"num_layers":2,"num_transformer_submodules":1,"num_virtual_tokens":3,
             "peft_type":"PROMPT_TUNING","prompt_tuning_init":"TEXT","prompt_tuning_init_text":"some text",
             "revision":null,"task_type":"CAUSAL_LM","token_dim":12,"tokenizer_name_or_path":"BASE"}
            """,
        12
    )]
    [TestCase(
        "p-tuning",
        """
            {"auto_mapping":null,"base_model_name_or_path":"BASE","encoder_hidden_size":12,
             "encoder_reparameterization_type":"MLP","inference_mode":true,"modules_to_save":null,
             "num_attention_heads":4,"num_layers":2,"num_transformer_submodules":1,"num_virtual_tokens":3,
             "peft_type":"P_TUNING","revision":null,"task_type":"CAUSAL_LM","token_dim":12}
            """,
        12
    )]
    [TestCase(
        "prefix-tuning",
        """
            {"auto_mapping":null,"base_model_name_or_path":"BASE","encoder_hidden_size":8,"inference_mode":true,
             "modules_to_save":null,"num_attention_heads":2,"num_layers":2,"num_transformer_submodules":1,
             "num_virtual_tokens":3,"peft_type":"PREFIX_TUNING","prefix_projection":true,"revision":null,
             "task_type":"CAUSAL_LM","token_dim":8}
            """,
        32
    )]
    public void AFolderHasTheKeysOfPeftAndOneTensor(string method, string config, int width)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using (Adapter prompt = Attach(model, method))
            prompt.Save(Saved);
        string expected = config.Replace("BASE", Path.GetFullPath(Folder.Path), StringComparison.Ordinal);
        string written = File.ReadAllText(Path.Combine(Saved, "adapter_config.json"));
        Assert.That(JsonNode.Parse(written)!.ToJsonString(), Is.EqualTo(JsonNode.Parse(expected)!.ToJsonString()));
        using var file = SafetensorsFile.Open(Path.Combine(Saved, "adapter_model.safetensors"));
        SafetensorsTensor tensor = file.Tensors.Values.Single();
        Assert.That(tensor.Name, Is.EqualTo("prompt_embeddings"));
        Assert.That(tensor.Shape, Is.EqualTo(new long[] { 3, width }));
    }

    [Test]
    public void LoadedItComputesTheSameAndIsSavedWithTheSameTensor([ValueSource(nameof(Methods))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);
        float[] expected;
        using (Adapter prompt = Attach(model, method))
        {
            TestAdapters.Perturb(prompt, 3);
            prompt.Save(Saved);
            expected = Losses.Logits(model, batch);
        }
        string again = Path.Combine(Folder.Path, "again");
        using (var loaded = Adapter.Load(model, Saved))
        {
            Assert.That(loaded.Method.Name, Is.EqualTo(method));
            Assert.That(loaded.VirtualTokens, Is.EqualTo(3));
            Assert.That(Losses.Logits(model, batch), Is.EqualTo(expected));
            // What a file holds trains on as it is: one tensor, whatever made it.
            Assert.That(loaded.Parameters.Parameters, Has.Count.EqualTo(1));
            loaded.Save(again);
        }
        Assert.That(Tensor(again), Is.EqualTo(Tensor(Saved)));
        using var reader = AdapterReader.OfAny(again, model.Config);
        Assert.That(reader.Warnings, Is.Empty);
        using var third = Adapter.Load(model, again);
        Assert.That(Losses.Logits(model, batch), Is.EqualTo(expected));
    }

    /// <summary>The config with every key that PEFT writes, and a tensor in each of its types.</summary>
    [Test]
    public void AFolderOfPeftHasTheLossOfTheReference(
        [Values("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING")] string type,
        [Values] bool half
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        bool isPrefix = type == "PREFIX_TUNING";
        double[] values = Write(type, half ? StoredType.F16 : StoredType.F32);
        var batch = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);
        using var prompt = Adapter.Load(model, Saved);
        using (var reader = AdapterReader.OfAny(Saved, model.Config))
            Assert.That(reader.Warnings, Is.Empty);
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        ReferenceModel reference = isPrefix
            ? new(Config, weights) { Prefix = values }
            : new(Config, weights) { Prompt = values };
        double expected = reference.LossSum(batch);
        Assert.That(Losses.Of(model, batch), Is.EqualTo(expected).Within(2e-6 * expected));
    }

    [TestCase("PROMPT_TUNING", "token_dim", 16, "token_dim is 16, expected 12 for this model")]
    [TestCase("PREFIX_TUNING", "token_dim", 12, "token_dim is 12, expected 8 for this model")]
    [TestCase("PREFIX_TUNING", "num_layers", 3, "num_layers is 3, expected 2 for this model")]
    [TestCase("PREFIX_TUNING", "num_attention_heads", 4, "num_attention_heads is 4, expected 2 for this model")]
    [TestCase("PREFIX_TUNING", "num_attention_heads", 3, "token_dim", "expected a multiple of num_attention_heads")]
    [TestCase("P_TUNING", "num_transformer_submodules", 2, "num_transformer_submodules", "expected 1")]
    [TestCase(
        "PROMPT_TUNING",
        "num_virtual_tokens",
        0,
        "num_virtual_tokens",
        "expected a whole number from 1 to 65536"
    )]
    [TestCase("PROMPT_TUNING", "num_virtual_tokens", 4, "prompt_embeddings", "[3, 12], expected [4, 12]")]
    [TestCase("PREFIX_TUNING", "num_virtual_tokens", 2, "prompt_embeddings", "[3, 32], expected [2, 32]")]
    public void ConfigsThatDoNotFitAreRefused(string type, string key, int value, params string[] named)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        Write(type, change: config => config[key] = value);
        RefusesToLoad(model, named);
    }

    [TestCase("PROMPT_TUNING", "prompt_tuning_init", "\"GUESS\"", "prompt_tuning_init", "RANDOM, SAMPLE_VOCAB, TEXT")]
    [TestCase("PROMPT_TUNING", "token_dim", "null", "token_dim")]
    [TestCase("PROMPT_TUNING", "modules_to_save", "[\"lm_head\"]", "changes no layer, expected none")]
    [TestCase("P_TUNING", "encoder_reparameterization_type", "\"GRU\"", "MLP or LSTM")]
    [TestCase("PREFIX_TUNING", "init_weights", "\"one\"", "init_weights", "zero, or none")]
    public void ValuesThatPeftDoesNotWriteAreRefused(string type, string key, string value, params string[] named)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        Write(type, change: config => config[key] = JsonNode.Parse(value));
        RefusesToLoad(model, named);
    }

    [Test]
    public void AFileMustHoldTheTensorAndNoOther([Values("more", "other", "none")] string tensors)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        Write("PROMPT_TUNING");
        var own = TensorToWrite.Floats("prompt_embeddings", StoredType.F32, [3, 12], () => new float[36]);
        var other = TensorToWrite.Floats("embedding.weight", StoredType.F32, [3, 12], () => new float[36]);
        SafetensorsWriter.Write(
            Path.Combine(Saved, "adapter_model.safetensors"),
            tensors switch
            {
                "more" => [own, other],
                "other" => [other],
                _ => [],
            },
            new Dictionary<string, string> { ["format"] = "pt" }
        );
        RefusesToLoad(model, tensors == "none" ? "no virtual tokens" : "embedding.weight", "prompt_embeddings");
    }

    [Test]
    public void WhatChangesWeightsRefusesAPromptWithTheReason([ValueSource(nameof(Methods))] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using (Adapter prompt = Attach(model, method))
            prompt.Save(Saved);
        using var folder = ModelFolder.Open(Folder.Path);
        string merged = Path.Combine(Folder.Path, "merged");
        foreach (
            Action use in new Action[]
            {
                () => new AdapterReader(Saved, folder).Dispose(),
                () => new AdapterReader(Saved, model.Config).Dispose(),
                () => new AdapterReader(Saved).Dispose(),
                () => Merger.Merge(folder, Saved, merged, Device),
            }
        )
        {
            Assert.That(
                use,
                Throws
                    .TypeOf<InputException>()
                    .With.Message.EqualTo(
                        $"{Saved}: a soft prompt ({method}), which is no change of weights; expected an adapter of "
                            + "layers here. eval, generate and finetune take soft prompts"
                    )
            );
        }

        Assert.That(Directory.Exists(merged), Is.False);
    }

    private static Adapter Attach(CausalLanguageModel model, string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        AdapterOptions options = new AdapterOptions { Seed = 5 }.With("virtual-tokens", 3);
        if (name == "prefix-tuning")
            options = options.With("projection", 1);
        if (name == "prompt-tuning")
            options = options.With("init", 2) with { PromptText = new PromptText("some text", [4, 2]) };
        return Adapter.Attach(model, method, options);
    }

    private static float[] Tensor(string directory)
    {
        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        return file["prompt_embeddings"].ToFloats();
    }

    private void RefusesToLoad(CausalLanguageModel model, params string[] named)
    {
        InputException error = Assert.Throws<InputException>(() => Adapter.Load(model, Saved))!;
        foreach (string name in named)
            Assert.That(error.Message, Does.Contain(name));
        Assert.That(error.Message, Does.Contain("expected"));
        Assert.That(model.Adapter, Is.Null);
    }

    /// <summary>Writes a folder as PEFT does, and returns the tensor's values as they are stored.</summary>
    private double[] Write(string type, StoredType stored = StoredType.F32, Action<JsonObject>? change = null)
    {
        bool isPrefix = type == "PREFIX_TUNING";
        JsonObject config = JsonNode
            .Parse(
                $$"""
                {"auto_mapping":null,"base_model_name_or_path":"base","inference_mode":true,"modules_to_save":null,
                 "num_attention_heads":{{(isPrefix ? 2 : 4)}},"num_layers":2,"num_transformer_submodules":1,
                 "num_virtual_tokens":3,"peft_type":"{{type}}","peft_version":"0.20.0","revision":null,
                 "task_type":"CAUSAL_LM","token_dim":{{(isPrefix ? 8 : 12)}}}
                """
            )!
            .AsObject();
        string own = type switch
        {
            "PROMPT_TUNING" => """
                {"prompt_tuning_init":"SAMPLE_VOCAB","prompt_tuning_init_text":null,"tokenizer_kwargs":null,
                 "tokenizer_name_or_path":null}
                """,
            "P_TUNING" => """
                {"encoder_dropout":0.0,"encoder_hidden_size":20,"encoder_num_layers":2,
                 "encoder_reparameterization_type":"LSTM"}
                """,
            _ => """{"encoder_hidden_size":16,"init_weights":null,"prefix_projection":true}""",
        };
        foreach ((string key, JsonNode? value) in JsonNode.Parse(own)!.AsObject())
            config[key] = value?.DeepClone();
        change?.Invoke(config);
        Random random = new(9);
        int width = isPrefix ? 32 : 12;
        float[] values = [.. Enumerable.Range(0, 3 * width).Select(_ => (float)(Half)(random.NextDouble() - 0.5))];
        Directory.CreateDirectory(Saved);
        File.WriteAllText(Path.Combine(Saved, "adapter_config.json"), config.ToJsonString());
        SafetensorsWriter.Write(
            Path.Combine(Saved, "adapter_model.safetensors"),
            [TensorToWrite.Floats("prompt_embeddings", stored, [3, width], () => values)],
            new Dictionary<string, string> { ["format"] = "pt" }
        );
        return Array.ConvertAll(values, value => (double)value);
    }
}
