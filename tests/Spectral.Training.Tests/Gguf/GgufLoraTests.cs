using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Gguf;

/// <summary>Adapters as GGUF files.</summary>
public sealed class GgufLoraTests : FolderTest
{
    private Device _device = null!;

    private string Saved => folder.File("adapter");

    private string Path => folder.File("lora.gguf");

    [SetUp]
    public void OpenDevice() => _device = Device.Cpu();

    [TearDown]
    public void CloseDevice() => _device.Dispose();

    /// <summary>B A s is the change of the layer, with the rows of B as llama.cpp pairs those of the weight.</summary>
    [Test]
    public void FactorsAreThoseOfTheAdapter()
    {
        Save(
            TinyModels.Llama,
            new AdapterOptions
            {
                Rank = 2,
                Alpha = 6,
                TargetModules = ["k_proj", "down_proj"],
            }
        );
        GgufFile file = Write();
        Assert.That(
            file.Metadata,
            Is.SupersetOf(
                new Dictionary<string, object>
                {
                    ["general.type"] = "adapter",
                    ["general.architecture"] = "llama",
                    ["adapter.type"] = "lora",
                    ["adapter.lora.alpha"] = 2f,
                }
            )
        );
        Assert.That(file.Tensors, Has.Count.EqualTo(2 * 2 * 2));
        using var stored = SafetensorsFile.Open(System.IO.Path.Combine(Saved, "adapter_model.safetensors"));
        const string Key = "base_model.model.model.layers.1.self_attn.k_proj.lora_";
        float[] a = stored[Key + "A.weight"].ToFloats();
        float[] b = stored[Key + "B.weight"].ToFloats();
        int[] order = [0, 2, 1, 3, 4, 6, 5, 7];
        Assert.That(file.Tensors["blk.1.attn_k.weight.lora_a"].Dimensions, Is.EqualTo([12L, 2L]));
        Assert.That(file.Tensors["blk.1.attn_k.weight.lora_b"].Dimensions, Is.EqualTo([2L, 8L]));
        Assert.That(file.Values("blk.1.attn_k.weight.lora_a"), Is.EqualTo(a.Select(value => (double)value)));
        Assert.That(
            file.Values("blk.1.attn_k.weight.lora_b"),
            Is.EqualTo(order.SelectMany(row => b.Skip(row * 2).Take(2)).Select(value => 3.0 * value)).Within(1e-6),
            "alpha over rank is 3"
        );
    }

    [Test]
    public void ExpertsWithoutAnAdapterHaveZeros()
    {
        Save(TinyModels.Mixtral, new AdapterOptions { Rank = 2, TargetModules = ["experts.3.w2"] });
        GgufFile file = Write(GgufType.F16);
        Assert.That(
            file.Tensors.Keys,
            Is.EquivalentTo(Names("blk.0.ffn_down_exps").Concat(Names("blk.1.ffn_down_exps")))
        );
        Assert.That(file.Tensors["blk.0.ffn_down_exps.weight.lora_a"].Dimensions, Is.EqualTo([10L, 2L, 5L]));
        double[][] experts = [.. file.Values("blk.0.ffn_down_exps.weight.lora_b").Chunk(12 * 2)];
        Assert.That(
            experts.Select(values => values.Any(value => value != 0)),
            Is.EqualTo([false, false, false, true, false])
        );

        static string[] Names(string module) => [$"{module}.weight.lora_a", $"{module}.weight.lora_b"];
    }

    [TestCase("embed_tokens", "changes model.embed_tokens, which is embedding and head in one")]
    [TestCase("lm_head", "changes lm_head")]
    public void ASharedTableIsRefused(string target, string what)
    {
        Save(TinyModels.Qwen2, new AdapterOptions { Rank = 2, TargetModules = [target] });
        Refused(what);
    }

    [Test]
    public void WhatTrainsBesideTheLoraIsRefused()
    {
        Save(TinyModels.Llama, new AdapterOptions { Rank = 2, ModulesToSave = ["lm_head"] });
        Refused("trains lm_head beside the LoRA");
    }

    [Test]
    public void BiasesAreRefused()
    {
        Save(TinyModels.Qwen2, new AdapterOptions { Rank = 2, Bias = AdapterBias.All });
        Refused("trains");
    }

    [Test]
    public void ModulesAtWhichLlamaCppStopsAreRefused()
    {
        Save(TinyModels.Glm4, new AdapterOptions { Rank = 2 });
        Refused("changes model.layers.0.self_attn.o_proj");
    }

    [Test]
    public void BlocksAreRefused()
    {
        Save(TinyModels.Llama, new AdapterOptions { Rank = 2 });
        Assert.That(
            () => Write(GgufType.Q8),
            Throws
                .TypeOf<InputException>()
                .With.Message.EqualTo("--dtype \"q8_0\": expected f32, f16 or bf16 for the factors of a LoRA")
        );
    }

    [Test]
    public void AMethodWithoutALoraIsRefused()
    {
        Save(TinyModels.Llama, new AdapterOptions { Rank = 2 }, "dora");
        Assert.That(() => Write(), Throws.TypeOf<InputException>().With.Message.Contains("is no plain LoRA's equal"));
    }

    private void Refused(string what)
    {
        Assert.That(
            () => Write(),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith($"{Saved}: the adapter {what}")
                .And.Message.EndsWith("merge it instead (spectral merge --format gguf)")
        );
        Assert.That(File.Exists(Path), Is.False);
    }

    private void Save(ModelConfig config, AdapterOptions options, string method = "lora")
    {
        using CausalLanguageModel model = TinyModels.Frozen(config, _device, folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options);
        TestAdapters.Randomize(adapter, 3);
        adapter.Save(Saved);
    }

    private GgufFile Write(GgufType type = GgufType.F32)
    {
        using var opened = ModelFolder.Open(folder.Path);
        GgufLora.Write(opened, Saved, Path, _device, type);
        return new GgufFile(Path);
    }
}
