using Spectral.Kernels;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Architectures;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Gguf;

/// <summary>
/// Names, dimensions, types and keys of whole models. What llama.cpp computes of them is tested in
/// Spectral.LlamaCpp.Tests.
/// </summary>
public sealed class GgufModelTests : FolderTest
{
    private static readonly ModelConfig Llama = TinyModels.Llama with { VocabularySize = 260 };

    private string Path => folder.File("model.gguf");

    /// <summary>The rows of queries and keys as llama.cpp pairs them, written out for heads of four features.</summary>
    [Test]
    public void ALlamaHasTheseTensors()
    {
        GgufFile file = Write(Llama, GgufType.F32);
        Assert.That(file.Tensors, Has.Count.EqualTo(3 + (2 * 9)));
        using var opened = ModelFolder.Open(folder.Path);
        float[] keys = opened["model.layers.1.self_attn.k_proj.weight"].ToFloats();
        int[] order = [0, 2, 1, 3, 4, 6, 5, 7]; // rows of two heads: first half, second half
        double[] expected = [.. order.SelectMany(row => keys.Skip(row * 12).Take(12)).Select(value => (double)value)];
        Assert.That(file.Tensors["blk.1.attn_k.weight"].Dimensions, Is.EqualTo([12L, 8L]));
        Assert.That(file.Values("blk.1.attn_k.weight"), Is.EqualTo(expected));
        Same(file, opened, "token_embd.weight", "model.embed_tokens.weight");
        Same(file, opened, "output.weight", "lm_head.weight");
        Same(file, opened, "output_norm.weight", "model.norm.weight");
        Same(file, opened, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight");
        Same(file, opened, "blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight");
        Same(file, opened, "blk.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight");
    }

    [Test]
    public void KeysSayWhatTheConfigSays()
    {
        GgufFile file = Write(Llama with { RopeTheta = 5000, EosTokenIds = [256, 7] }, GgufType.F16);
        Dictionary<string, object> expected = new()
        {
            ["general.architecture"] = "llama",
            ["general.type"] = "model",
            ["general.file_type"] = 1u,
            ["llama.vocab_size"] = 260u,
            ["llama.context_length"] = 64u,
            ["llama.embedding_length"] = 12u,
            ["llama.block_count"] = 2u,
            ["llama.feed_forward_length"] = 10u,
            ["llama.attention.head_count"] = 4u,
            ["llama.attention.head_count_kv"] = 2u,
            ["llama.attention.key_length"] = 4u,
            ["llama.attention.layer_norm_rms_epsilon"] = 1e-5f,
            ["llama.rope.dimension_count"] = 4u,
            ["llama.rope.freq_base"] = 5000f,
            ["tokenizer.ggml.model"] = "gpt2",
            ["tokenizer.ggml.pre"] = "gpt-2",
            ["tokenizer.ggml.eos_token_id"] = 256u,
            ["tokenizer.ggml.eot_token_id"] = 7u,
            ["tokenizer.ggml.add_bos_token"] = false,
        };
        Assert.That(file.Metadata, Is.SupersetOf(expected));
        object[] tokens = (object[])file.Metadata["tokenizer.ggml.tokens"];
        Assert.That(tokens[255..], Is.EqualTo((object[])["ÿ", "<|end|>", "[PAD257]", "[PAD258]", "[PAD259]"]));
        object[] kinds = (object[])file.Metadata["tokenizer.ggml.token_type"];
        Assert.That(kinds[255..], Is.EqualTo((object[])[1, 3, 5, 5, 5]), "normal, control, unused");
    }

    /// <summary>Vectors stay exact, and rows that do not fill blocks of 32 become F16.</summary>
    [Test]
    public void EachMatrixHasATypeThatHoldsIt()
    {
        ModelConfig wide = Llama with { HiddenSize = 64, HeadDimension = 16, IntermediateSize = 40 };
        GgufFile file = Write(wide, GgufType.Q8);
        Assert.That(file.Tensors["blk.0.attn_q.weight"].Type, Is.EqualTo(8));
        Assert.That(file.Tensors["blk.0.ffn_down.weight"].Type, Is.EqualTo(1), "40 inputs");
        Assert.That(file.Tensors["blk.0.attn_norm.weight"].Type, Is.Zero);
        Assert.That(file.Metadata["general.file_type"], Is.EqualTo(7u));
        Assert.That(Write(Llama, GgufType.BF16).Tensors["blk.0.attn_q.weight"].Type, Is.EqualTo(30));
    }

    [Test]
    public void NormsAroundOneBecomeWhole()
    {
        GgufFile file = Write(TinyModels.Gemma with { VocabularySize = 260 }, GgufType.F32);
        using var opened = ModelFolder.Open(folder.Path);
        float[] stored = opened["model.layers.0.input_layernorm.weight"].ToFloats();
        Assert.That(file.Values("blk.0.attn_norm.weight"), Is.EqualTo(stored.Select(value => (double)(value + 1))));
        Assert.That(file.Tensors, Does.Not.ContainKey("output.weight"), "the head is the embedding");
    }

    [Test]
    public void ExpertsAreStackedAndRoutersStayExact()
    {
        GgufFile file = Write(TinyModels.Mixtral with { VocabularySize = 260 }, GgufType.F16);
        Assert.That(file.Tensors["blk.1.ffn_gate_exps.weight"].Dimensions, Is.EqualTo([12L, 10L, 5L]));
        Assert.That(file.Tensors["blk.1.ffn_gate_inp.weight"].Type, Is.Zero);
        using var opened = ModelFolder.Open(folder.Path);
        float[] last = opened["model.layers.1.block_sparse_moe.experts.4.w3.weight"].ToFloats();
        Assert.That(
            file.Values("blk.1.ffn_up_exps.weight")[^last.Length..],
            Is.EqualTo(last.Select(value => (double)(Half)value))
        );
        Assert.That(file.Metadata["llama.expert_used_count"], Is.EqualTo(2u));
    }

    [Test]
    public void NormsOfHeadsAreStackedAndStayExact()
    {
        ModelConfig config = TinyModels.StableLmNormed with { VocabularySize = 260, PartialRotaryFactor = 1 };
        GgufFile file = Write(config, GgufType.F16);
        Assert.That(file.Tensors["blk.1.attn_q_norm.weight"].Dimensions, Is.EqualTo([6L, 2L]));
        Assert.That(file.Tensors["blk.1.attn_q_norm.weight"].Type, Is.Zero);
        using var opened = ModelFolder.Open(folder.Path);
        double[] norms =
        [
            .. Enumerable
                .Range(0, 2)
                .SelectMany(head => opened[$"model.layers.1.self_attn.q_layernorm.norms.{head}.weight"].ToFloats()),
        ];
        Assert.That(file.Values("blk.1.attn_q_norm.weight"), Is.EqualTo(norms));
    }

    [Test]
    public void AHeadOfPhiHasABias()
    {
        ModelConfig config = TinyModels.Phi with { VocabularySize = 260, HeadDimension = 12, Heads = 1 };
        GgufFile file = Write(config, GgufType.F32);
        using var opened = ModelFolder.Open(folder.Path);
        Same(file, opened, "output.bias", "lm_head.bias");
        Same(file, opened, "output_norm.weight", "model.final_layernorm.weight");
        Same(file, opened, "blk.1.attn_output.bias", "model.layers.1.self_attn.dense.bias");
        Same(file, opened, "blk.0.ffn_up.weight", "model.layers.0.mlp.fc1.weight");
        Assert.That(file.Metadata["general.architecture"], Is.EqualTo("phi2"));
    }

    [Test]
    public void Llama3ScalingIsATensor()
    {
        GgufFile file = Write(Llama with { RopeScaling = new Llama3Scaling(8, 1, 4, 16) }, GgufType.F16);
        // θ = 10000, d = 4: wavelengths 2π and 200π; 16/4 = 4 and 16 are the borders.
        double t = ((16 / (2 * Math.PI)) - 1) / 3;
        Assert.That(file.Values("rope_freqs.weight"), Is.EqualTo([1 / (((1 - t) / 8) + t), 8]).Within(1e-6));
    }

    [Test]
    public void TheTypeIsThatOfTheBaseUnlessGiven()
    {
        Write(Llama, GgufType.F32);
        using var opened = ModelFolder.Open(folder.Path);
        Assert.That(GgufModel.Write(opened, Path).Type, Is.EqualTo(GgufType.F32));
    }

    [Test]
    public void ArchitecturesShareOutTheFamilies()
    {
        string[] types = [.. GgufArchitectures.All.SelectMany(each => each.ModelTypes)];
        Assert.That(types, Is.Unique);
        Assert.That(types, Is.SubsetOf(ModelFamilies.All.Select(family => family.ModelType)));
    }

    private static IEnumerable<TestCaseData> Obstacles()
    {
        yield return Case(Llama with { Activation = Activation.Gelu }, "the activation Gelu, expected Silu");
        yield return Case(Llama with { RotaryLayers = [true, false] }, "layers that do not turn queries and keys");
        yield return Case(Llama with { RopeScaling = new YarnScaling(4, 16) { BetaFast = 2 } }, "beta_fast 32");
        yield return Case(TinyModels.Qwen2 with { RopeScaling = new Llama3Scaling(8, 1, 4, 16) }, "scaled as llama3");
        yield return Case(TinyModels.Qwen2 with { OutputBias = true }, "a bias of the output of attention");
        yield return Case(TinyModels.Qwen3Moe with { OutputBias = false }, "weights of experts that do not sum to 1");
        yield return Case(TinyModels.Phi3, "heads of 8 features, expected 12 / 4");
        yield return Case(TinyModels.Gemma2 with { OutputBias = false }, "query_pre_attn_scalar 5, expected 6");
        yield return Case(TinyModels.Gemma with { TieWordEmbeddings = false }, "a head of its own");
        yield return Case(TinyModels.SmolLm3 with { RopeScaling = null }, "each 4th");
        yield return Case(TinyModels.Cohere2 with { HeadDimension = 3 * 4 }, "heads of 12 features");
        yield return Case(
            TinyModels.Cohere2 with
            {
                HeadDimension = 3,
                SlidingLayers = null,
                RotaryLayers = [true, false],
            },
            "layers that turn without a window"
        );
        yield return Case(
            TinyModels.CohereNormed with
            {
                HeadDimension = 3,
                PartialRotaryFactor = 1,
                TieWordEmbeddings = true,
            },
            "2 layers with norms of queries and keys, expected them from 64 layers on"
        );
        yield return Case(TinyModels.Gpt2 with { AttentionMultiplier = 1 }, "the factor 1 on scores");

        static TestCaseData Case(ModelConfig config, string obstacle) =>
            new TestCaseData(config, obstacle).SetArgDisplayNames(config.ModelType, obstacle);
    }

    [TestCaseSource(nameof(Obstacles))]
    public void WhatLlamaCppCannotComputeIsRefused(ModelConfig config, string obstacle) =>
        Assert.That(
            () => GgufArchitectures.Of(config, "folder"),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith("folder: llama.cpp's ")
                .And.Message.Contains($"cannot compute this {config.ModelType} model")
                .And.Message.Contains(obstacle)
        );

    [Test]
    public void AWindowThatLlamaCppIgnoresIsAWarning()
    {
        ModelConfig mistral = TinyModels.Mistral with { VocabularySize = 260, SlidingWindow = 8 };
        string[] warnings = [.. GgufArchitectures.Of(mistral, "folder").Warnings(mistral)];
        Assert.That(warnings, Has.One.Contains("beyond 8 tokens, the model's window"));
        Assert.That(
            GgufArchitectures.Of(mistral, "folder").Warnings(mistral with { SlidingWindow = 64 }),
            Is.Empty,
            "as long as the longest text"
        );
    }

    [Test]
    public void AModelWithoutTokenizerIsRefused()
    {
        using var device = Device.Cpu();
        TinyModels.Frozen(Llama, device, folder).Dispose();
        using var opened = ModelFolder.Open(folder.Path);
        Assert.That(
            () => GgufModel.Write(opened, Path),
            Throws.TypeOf<InputException>().With.Message.Contains("no tokenizer, expected tokenizer.json")
        );
        Assert.That(File.Exists(Path), Is.False);
    }

    private GgufFile Write(ModelConfig config, GgufType type)
    {
        using var device = Device.Cpu();
        TinyModels.Frozen(config, device, folder).Dispose();
        folder.Write(
            "tokenizer.json",
            TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added("<|end|>")).ToJsonString()
        );
        using var opened = ModelFolder.Open(folder.Path);
        GgufResult made = GgufModel.Write(opened, Path, type);
        GgufFile file = new(Path);
        Assert.That((made.Tensors, made.Type), Is.EqualTo((file.Tensors.Count, type)));
        return file;
    }

    private static void Same(GgufFile file, ModelFolder model, string name, string stored)
    {
        SafetensorsTensor tensor = model[stored];
        Assert.That(file.Tensors[name].Dimensions, Is.EqualTo(tensor.Shape.Reverse()), name);
        Assert.That(file.Values(name), Is.EqualTo(tensor.ToFloats().Select(value => (double)value)), name);
    }
}
