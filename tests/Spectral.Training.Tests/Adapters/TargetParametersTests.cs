using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// LoRA on the parameters of all experts, in PEFT's layout: delta[e, o, i] = s Σ_ρ B[o, ρ·E + e] A[e·r + ρ, i], where
/// gate_up_proj has gate above up, and is the inner one of two adapted parameters of a module.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TargetParametersTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Experts = 5;
    private const int Hidden = 12;
    private const int Width = 10;
    private const int Rank = 2;
    private const double Scale = 3 / 2.0;

    private string Stored => Folder.File("adapter");

    /// <summary>A folder as PEFT writes it, applied to a base of single experts by hand.</summary>
    [Test]
    public void AFolderOfPeftIsRead()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        Dictionary<string, float[]> factors = WritePeft("experts.gate_up_proj", "experts.down_proj");
        Keep(Adapter.Load(model, Stored));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            WeightChange = module => Change(module, factors, nested: true),
        };
        double expected = reference.LossSum(batch);
        Assert.That(Losses.Of(model, batch), Is.EqualTo(expected).Within(2e-6 * expected));
        ReferenceModel unchanged = new(model.Config, TestAdapters.Weights(Folder.Path));
        Assert.That(unchanged.LossSum(batch), Is.Not.EqualTo(expected).Within(1e-3 * expected));
    }

    [Test]
    public void OneParameterAloneIsNotNested()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        Dictionary<string, float[]> factors = WritePeft("mlp.experts.down_proj");
        Adapter adapter = Keep(Adapter.Load(model, Stored));
        Assert.That(adapter.Modules, Has.Count.EqualTo(2 * Experts));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            WeightChange = module => Change(module, factors, nested: false),
        };
        double expected = reference.LossSum(batch);
        Assert.That(Losses.Of(model, batch), Is.EqualTo(expected).Within(2e-6 * expected));
    }

    /// <summary>What is trained is written as PEFT reads it, and read again with the same ranks and values.</summary>
    [Test]
    public void WhatIsWrittenIsTheSameChange([Values("Mixtral", "Qwen3Moe")] string name, [Values] bool asTargets)
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        string[] parameters = ["mlp.experts.gate_up_proj", "experts.down_proj"];
        AdapterOptions options = new()
        {
            Rank = Rank,
            Alpha = 3,
            TargetModules = asTargets ? [.. parameters, "q_proj"] : ["q_proj"],
            TargetParameters = asTargets ? [] : parameters,
        };
        Adapter adapter = Keep(Adapter.Attach(model, AdapterMethods.Find("lora"), options));
        TestAdapters.Randomize(adapter, 23);
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double before = Losses.Of(model, batch);
        adapter.Save(Stored);
        JsonNode written = JsonNode.Parse(File.ReadAllText(Path.Combine(Stored, "adapter_config.json")))!;
        Assert.That(written["target_parameters"]!.AsArray().Select(item => (string)item!), Is.EqualTo(parameters));
        Assert.That(written["target_modules"]!.AsArray().Select(item => (string)item!), Is.EqualTo(["q_proj"]));
        Assert.That((int)written["rank_pattern"]![@".*\.gate_up_proj"]!, Is.EqualTo(2 * Rank));
        Assert.That((double)written["alpha_pattern"]![@".*\.gate_up_proj"]!, Is.EqualTo(6));
        int layer = name == "Mixtral" ? 0 : 1;
        int experts = config.Experts!.Count;
        int width = config.Experts.IntermediateSize ?? config.IntermediateSize;
        string prefix = $"base_model.model.model.layers.{layer}.mlp.experts.";
        Dictionary<string, double[]> values = [];
        using (var file = SafetensorsFile.Open(Path.Combine(Stored, "adapter_model.safetensors")))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
                values[tensor.Name] = [.. tensor.ToFloats().Select(value => (double)value)];
            Assert.That(file[prefix + "base_layer.lora_A.weight"].Shape, Is.EqualTo([experts * 2 * Rank, Hidden]));
            Assert.That(file[prefix + "base_layer.lora_B.weight"].Shape, Is.EqualTo([2 * width, experts * 2 * Rank]));
            Assert.That(file[prefix + "lora_A.weight"].Shape, Is.EqualTo([experts * Rank, width]));
            Assert.That(file[prefix + "lora_B.weight"].Shape, Is.EqualTo([Hidden, experts * Rank]));
        }

        // PEFT's formula on the written tensors, against what the adapter adds to each expert.
        (string mixture, string gate, string up, string down) =
            name == "Mixtral" ? ("block_sparse_moe", "w1", "w3", "w2") : ("mlp", "gate_proj", "up_proj", "down_proj");
        for (int expert = 0; expert < experts; expert++)
        {
            double[] whole = Stacked(values, prefix + "base_layer.", experts, expert, 2 * Rank, 2 * width, Hidden);
            double[] ofDown = Stacked(values, prefix, experts, expert, Rank, Hidden, width);
            double[] both = [.. Own(gate), .. Own(up)];
            Assert.That(whole, Is.EqualTo(both).Within(1e-6), $"expert {expert}");
            Assert.That(ofDown, Is.EqualTo(Own(down)).Within(1e-6), $"expert {expert}");

            double[] Own(string leaf) =>
                TestAdapters.Dense(
                    adapter,
                    $"model.layers.{layer}.{mixture}.experts.{expert}.{leaf}",
                    adapter
                        .Modules.SelectMany(module => module.Factors.Values)
                        .ToDictionary(
                            factor => factor.Name,
                            factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
                        )
                )!;
        }

        adapter.Dispose();
        using var folder = ModelFolder.Open(Folder.Path);
        using var reader = new AdapterReader(Stored, folder);
        Assert.That(reader.Warnings, Is.Empty);
        Assert.That(
            reader.Modules.Select(module => (module.Options.Rank, module.Options.Alpha)),
            Is.All.EqualTo((Rank, 3.0))
        );
        Adapter again = Keep(Adapter.Load(model, Stored));
        Assert.That(Losses.Of(model, batch), Is.EqualTo(before).Within(1e-6 * before));
        again.Save(Folder.File("again"));
        Assert.That(
            File.ReadAllBytes(Path.Combine(Folder.File("again"), "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(Stored, "adapter_model.safetensors")))
        );
    }

    [TestCase("experts.gate_proj", "target parameter 'experts.gate_proj' matches none; there are: ")]
    [TestCase("mlp.down_proj", "target parameter 'mlp.down_proj' matches none")]
    public void AnUnknownParameterIsNamed(string parameter, string says)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        Assert.That(
            () => Attach(model, "lora", new AdapterOptions { TargetParameters = [parameter] }),
            Throws.TypeOf<InputException>().With.Message.Contains(says)
        );
    }

    [Test]
    public void WhatPeftHasNoPlaceForIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        AdapterOptions options = new() { TargetParameters = ["experts.down_proj"] };
        Assert.That(
            () => Attach(model, "lora", options with { Dropout = 0.1 }).RequireSavable(),
            Throws.TypeOf<InputException>().With.Message.Contains("--dropout 0.1: expected 0 with --target-parameters")
        );
        model.Dispose();
        CausalLanguageModel other = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        Assert.That(
            () => Attach(other, "dora", options).RequireSavable(),
            Throws.TypeOf<InputException>().With.Message.Contains("--target-parameters")
        );
    }

    [Test]
    public void AStackOfAnotherRankIsNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        WritePeft("experts.gate_up_proj", "experts.down_proj");
        string path = Path.Combine(Stored, "adapter_config.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"r\":2", "\"r\":3"));
        Assert.That(
            () => Adapter.Load(model, Stored),
            Throws.TypeOf<InputException>().With.Message.Contains("expected factors of rank 3 of each expert of model.")
        );
    }

    private Adapter Attach(CausalLanguageModel model, string method, AdapterOptions options) =>
        Keep(Adapter.Attach(model, AdapterMethods.Find(method), options));

    /// <summary>Writes what PEFT writes for a model of two layers. Returns the tensors by their names in it.</summary>
    private Dictionary<string, float[]> WritePeft(params string[] parameters)
    {
        Directory.CreateDirectory(Stored);
        JsonObject config = new()
        {
            ["peft_type"] = "LORA",
            ["r"] = Rank,
            ["lora_alpha"] = 3,
            ["target_modules"] = new JsonArray(),
            ["target_parameters"] = new JsonArray([.. parameters.Select(name => (JsonNode)name)]),
        };
        File.WriteAllText(Path.Combine(Stored, "adapter_config.json"), config.ToJsonString());
        Random random = new(3);
        Dictionary<string, float[]> tensors = [];
        List<TensorToWrite> all = [];
        for (int layer = 0; layer < 2; layer++)
        {
            string prefix = $"base_model.model.model.layers.{layer}.mlp.experts.";
            if (parameters.Length > 1)
                Add(prefix + "base_layer.", Hidden, 2 * Width);
            Add(prefix, Width, Hidden);
        }
        SafetensorsWriter.Write(Path.Combine(Stored, "adapter_model.safetensors"), all);
        return tensors;

        void Add(string prefix, int inputs, int outputs)
        {
            One(prefix + "lora_A.weight", Experts * Rank, inputs);
            One(prefix + "lora_B.weight", outputs, Experts * Rank);
        }

        void One(string name, int rows, int columns)
        {
            float[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)];
            tensors.Add(name, values);
            all.Add(TensorToWrite.Floats(name, StoredType.F32, [rows, columns], () => values));
        }
    }

    /// <summary>What PEFT adds to an expert's own rows of a parameter.</summary>
    private static double[]? Change(string module, Dictionary<string, float[]> factors, bool nested)
    {
        string[] parts = module.Split('.'); // model.layers.0.block_sparse_moe.experts.3.w1
        if (parts.Length < 7)
            return null;
        bool isDown = parts[6] == "w2";
        if (!isDown && !nested)
            return null;
        string prefix = $"base_model.model.model.layers.{parts[2]}.mlp.experts.{(isDown ? "" : "base_layer.")}";
        (int outputs, int inputs) = isDown ? (Hidden, Width) : (2 * Width, Hidden);
        double[] whole = Stacked(
            factors.ToDictionary(pair => pair.Key, pair => Array.ConvertAll(pair.Value, value => (double)value)),
            prefix,
            Experts,
            int.Parse(parts[5]),
            Rank,
            outputs,
            inputs
        );
        int half = Width * Hidden;
        if (isDown)
            return whole;
        return parts[6] == "w1" ? whole[..half] : whole[half..];
    }

    private static double[] Stacked(
        Dictionary<string, double[]> tensors,
        string prefix,
        int experts,
        int expert,
        int rank,
        int outputs,
        int inputs
    )
    {
        double[] a = tensors[prefix + "lora_A.weight"];
        double[] b = tensors[prefix + "lora_B.weight"];
        double[] change = new double[outputs * inputs];
        for (int o = 0; o < outputs; o++)
        {
            for (int i = 0; i < inputs; i++)
            {
                for (int r = 0; r < rank; r++)
                {
                    change[o * inputs + i] +=
                        Scale * b[o * experts * rank + r * experts + expert] * a[(expert * rank + r) * inputs + i];
                }
            }
        }
        return change;
    }
}
