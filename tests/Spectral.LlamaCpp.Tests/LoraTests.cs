using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.LlamaCpp.Tests;

/// <summary>Adapters that llama.cpp applies to a base, or that are merged before it loads the model.</summary>
public sealed class LoraTests : FolderTest
{
    private string Saved => folder.File("adapter");

    /// <summary>
    /// Projections whose rows change places, fused and stored the other way round, experts, head and embedding.
    /// </summary>
    [TestCase("llama", "speclora", "")]
    [TestCase("llama", "lora", "lm_head,embed_tokens")]
    [TestCase("granite", "lora", "")]
    [TestCase("qwen2", "pissa", "")]
    [TestCase("phi3", "lora", "")]
    [TestCase("gpt2", "lora", "")]
    [TestCase("gemma2", "lora", "")]
    [TestCase("glm4", "lora", "q_proj,k_proj,v_proj,gate_up_proj")]
    [TestCase("mixtral", "lora", "q_proj,v_proj,w1,w2")]
    public void LlamaCppAppliesTheLora(string name, string method, string targets)
    {
        ModelConfig config = SmallModels.All[name];
        using var device = Device.Cpu();
        using CausalLanguageModel model = SmallModels.Write(config, device, folder);
        float[][] plain = Comparison.Logits(model, Comparison.Prompt);
        float[][] expected = Adapted(model, method, targets);
        string lora = folder.File("lora.gguf");
        using (var opened = ModelFolder.Open(folder.Path))
            GgufLora.Write(opened, Saved, lora, device);
        using LlamaCppModel llama = new(SmallModels.Convert(folder, GgufType.F32), lora);
        Comparison.Verify(llama.Logits(Comparison.Prompt), expected, Comparison.BoundOf(config));
        Comparison.VerifyDifferent(expected, plain, 0.01);
    }

    [TestCase("llama", "speclora")]
    [TestCase("qwen3_moe", "lora")]
    [TestCase("gpt2", "dora")]
    public void AMergedModelHasTheAdapter(string name, string method)
    {
        ModelConfig config = SmallModels.All[name];
        using var device = Device.Cpu();
        using CausalLanguageModel model = SmallModels.Write(config, device, folder);
        float[][] expected = Adapted(model, method, "");
        string merged = folder.File("merged.gguf");
        using (var opened = ModelFolder.Open(folder.Path))
            Merger.WriteGguf(opened, Saved, merged, device, GgufType.F32);
        using LlamaCppModel llama = new(merged);
        Comparison.Verify(llama.Logits(Comparison.Prompt), expected, Comparison.BoundOf(config));
    }

    /// <summary>A head that an adapter parts from the embedding is written beside it.</summary>
    [Test]
    public void AnUntiedHeadIsWritten()
    {
        using var device = Device.Cpu();
        using CausalLanguageModel model = SmallModels.Write(SmallModels.All["llama3"], device, folder);
        float[][] expected = Adapted(model, "lora", "lm_head");
        string merged = folder.File("merged.gguf");
        using (var opened = ModelFolder.Open(folder.Path))
            Merger.WriteGguf(opened, Saved, merged, device, GgufType.F32);
        using LlamaCppModel llama = new(merged);
        Comparison.Verify(llama.Logits(Comparison.Prompt), expected, Comparison.Sums);
    }

    [Test]
    public void SeveralAdaptersAreMergedByAMethod()
    {
        using var device = Device.Cpu();
        using CausalLanguageModel model = SmallModels.Write(SmallModels.All["llama"], device, folder);
        Adapted(model, "lora", "");
        string dense = Directory.CreateDirectory(folder.File("dense")).FullName;
        string path = folder.File("ties.gguf");
        using (var opened = ModelFolder.Open(folder.Path))
        {
            MergeInput[] inputs = [new(Saved), new(Saved, Weight: 0.5)];
            using var merge = ModelMerge.Open(opened, MergeMethods.Find("ties"), inputs, new MergeOptions(), device);
            merge.Write(dense);
            merge.WriteGguf(path, GgufType.F32);
        }
        using var folderOfMerge = ModelFolder.Open(dense);
        using var whole = CausalLanguageModel.Load(folderOfMerge, device, DType.F32);
        using LlamaCppModel llama = new(path);
        Comparison.Verify(
            llama.Logits(Comparison.Prompt),
            Comparison.Logits(whole, Comparison.Prompt),
            Comparison.Sums
        );
    }

    /// <summary>Saves a random adapter of a model, and returns the logits with it.</summary>
    private float[][] Adapted(CausalLanguageModel model, string method, string targets)
    {
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            new AdapterOptions
            {
                Rank = 3,
                TopK = 2,
                Alpha = 2,
                TargetModules = targets.Length > 0 ? targets.Split(',') : AdapterOptions.AllProjections,
            }
        );
        TestAdapters.Randomize(adapter, 4);
        adapter.Save(Saved);
        return Comparison.Logits(model, Comparison.Prompt);
    }
}
