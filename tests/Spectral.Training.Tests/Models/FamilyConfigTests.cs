using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Keys and defaults in which the other families differ.</summary>
public sealed class FamilyConfigTests : ConfigTest
{
    [TestCase("llama", "true", true, true, true)]
    [TestCase("llama", "false", false, false, false)]
    [TestCase("qwen2", "false", true, false, false)]
    [TestCase("mistral", "true", false, false, false)]
    [TestCase("qwen3", "true", true, true, false)]
    [TestCase("olmo2", "true", true, true, false)]
    [TestCase("granite", "true", true, true, true)]
    [TestCase("smollm3", "true", true, true, true)]
    [TestCase("phi3", "true", false, false, false)]
    [TestCase("phi4", "true", false, false, false)]
    [TestCase("glm", "true", true, false, false)]
    [TestCase("glm4", "true", true, false, false)]
    [TestCase("glm4", "null", true, false, false)]
    [TestCase("glm4", "false", false, false, false)]
    [TestCase("cohere", "true", true, true, false)]
    [TestCase("cohere2", "true", true, true, false)]
    [TestCase("starcoder2", "null", true, true, true)]
    [TestCase("stablelm", "true", false, false, false)]
    [TestCase("gpt2", "false", true, true, true)]
    [TestCase("phi", "false", true, true, true)]
    [TestCase("gemma", "true", true, true, false)]
    [TestCase("gemma2", "true", true, true, false)]
    [TestCase("gemma3_text", "false", false, false, false)]
    public void BiasesFollowTheArchitecture(string type, string flag, bool queryKeyValue, bool output, bool mlp)
    {
        ModelConfig config = Load(
            ("model_type", $"\"{type}\""),
            ("attention_bias", flag),
            ("mlp_bias", flag),
            ("partial_rotary_factor", "1"),
            ("num_key_value_heads", "2")
        );
        Assert.That(
            (config.QueryKeyValueBias, config.OutputBias, config.MlpBias),
            Is.EqualTo((queryKeyValue, output, mlp))
        );
    }

    [TestCase("llama", """{"sliding_window":7}""", "00")]
    [TestCase("mistral", """{}""", "40964096")]
    [TestCase("mistral", """{"sliding_window":null}""", "00")]
    [TestCase("mistral", """{"sliding_window":7}""", "77")]
    [TestCase("qwen2", """{"sliding_window":7}""", "00")]
    [TestCase("qwen2", """{"sliding_window":7,"use_sliding_window":true}""", "00")]
    [TestCase("qwen2", """{"sliding_window":null,"use_sliding_window":true,"max_window_layers":0}""", "00")]
    [TestCase("qwen2", """{"use_sliding_window":true,"max_window_layers":1}""", "04096")]
    [TestCase("qwen2", """{"sliding_window":7,"layer_types":["full_attention","full_attention"]}""", "00")]
    [TestCase("qwen2", """{"sliding_window":7,"use_sliding_window":true,"max_window_layers":1}""", "07")]
    [TestCase(
        "qwen2",
        """{"sliding_window":7,"use_sliding_window":true,"layer_types":["full_attention","sliding_attention"]}""",
        "07"
    )]
    [TestCase(
        "qwen2",
        """{"sliding_window":7,"use_sliding_window":true,"layer_types":["sliding_attention","full_attention"]}""",
        "70"
    )]
    [TestCase(
        "qwen3",
        """{"sliding_window":7,"use_sliding_window":true,"layer_types":["sliding_attention","full_attention"]}""",
        "70"
    )]
    [TestCase("smollm3", """{"sliding_window":7}""", "00")]
    [TestCase("smollm3", """{"sliding_window":7,"use_sliding_window":true,"no_rope_layers":[1,0]}""", "07")]
    [TestCase("gemma", """{"sliding_window":7}""", "00")]
    [TestCase("gemma2", "{}", "40960")]
    [TestCase("gemma2", """{"sliding_window":7}""", "70")]
    [TestCase("gemma2", """{"sliding_window":7,"layer_types":["full_attention","sliding_attention"]}""", "07")]
    [TestCase("gemma2", """{"sliding_window":null,"layer_types":["full_attention","full_attention"]}""", "00")]
    [TestCase("gemma3_text", """{"sliding_window":7}""", "77")]
    [TestCase("gemma3_text", """{"sliding_window":7,"sliding_window_pattern":2}""", "70")]
    [TestCase(
        "gemma3_text",
        """{"sliding_window":7,"sliding_window_pattern":2,"layer_types":["full_attention","sliding_attention"]}""",
        "07"
    )]
    [TestCase("olmo2", """{"sliding_window":7}""", "00")]
    [TestCase("granite", """{"sliding_window":7}""", "00")]
    [TestCase("phi3", """{}""", "00")]
    [TestCase("phi3", """{"sliding_window":null}""", "00")]
    [TestCase("phi3", """{"sliding_window":7}""", "77")]
    [TestCase("glm4", """{"sliding_window":7}""", "00")]
    [TestCase("cohere", """{"sliding_window":7}""", "00")]
    [TestCase("cohere2", """{}""", "40964096")]
    [TestCase("cohere2", """{"sliding_window":7,"sliding_window_pattern":2}""", "70")]
    [TestCase("cohere2", """{"sliding_window":7,"layer_types":["full_attention","sliding_attention"]}""", "07")]
    [TestCase("cohere2", """{"sliding_window":null,"sliding_window_pattern":1}""", "00")]
    [TestCase("starcoder2", """{}""", "00")]
    [TestCase("starcoder2", """{"sliding_window":null}""", "00")]
    [TestCase("starcoder2", """{"sliding_window":7}""", "77")]
    [TestCase("gpt2", """{"sliding_window":7,"num_key_value_heads":2}""", "00")]
    [TestCase("stablelm", """{"sliding_window":7,"partial_rotary_factor":0.5}""", "00")]
    public void WindowsFollowTheArchitecture(string type, string keys, string windows)
    {
        JsonObject json = Json(("model_type", $"\"{type}\""));
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        ModelConfig config = TinyModel.WriteConfig(folder, json);

        Assert.That($"{config.WindowOf(0)}{config.WindowOf(1)}", Is.EqualTo(windows));
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        Assert.That($"{again.WindowOf(0)}{again.WindowOf(1)}", Is.EqualTo(windows));
    }

    [Test]
    public void AnImpossibleWindowIsRefusedInEveryFamily(
        [ValueSource(nameof(Families))] string type,
        [Values("-1", "7.5", "\"7\"", "2147483648")] string window
    ) =>
        Assert.That(
            () => Load(("model_type", $"\"{type}\""), ("sliding_window", window), ("head_dim", "8")),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("config.json: sliding_window is ")
                .And.Message.EndsWith(", expected a whole number from 0 to 2147483647")
        );

    // The defaults of the families' configs in transformers, which hold where the key is not there; null is as many as
    // heads.
    [TestCase("llama", false, 8)]
    [TestCase("mistral", false, 8)]
    [TestCase("qwen2", false, 32)]
    [TestCase("qwen3", false, 32)]
    [TestCase("smollm3", false, 4)]
    [TestCase("granite", false, 8)]
    [TestCase("olmo2", false, 8)]
    [TestCase("phi3", false, 64)]
    [TestCase("glm", false, 2)]
    [TestCase("glm4", false, 2)]
    [TestCase("cohere2", false, 64)]
    [TestCase("gemma", false, 16)]
    [TestCase("gemma2", false, 4)]
    [TestCase("gemma3_text", false, 4)]
    [TestCase("gemma2", true, 64)]
    [TestCase("llama", true, 64)]
    [TestCase("mistral", true, 64)]
    [TestCase("qwen2", true, 64)]
    public void KeyAndValueHeadsHaveTheFamilysDefault(string type, bool isNull, int expected)
    {
        string heads = type is "llama" or "granite" or "olmo2" && !isNull ? "8" : "64";
        JsonObject json = Json(("model_type", $"\"{type}\""), ("num_attention_heads", heads), ("head_dim", "4"));
        json.Remove("num_key_value_heads");
        if (isNull)
            json["num_key_value_heads"] = null;
        Assert.That(TinyModel.WriteConfig(folder, json).KeyValueHeads, Is.EqualTo(expected));
    }

    [Test]
    public void FactorsOfGraniteAreReadAndWritten()
    {
        ModelConfig config = Load(
            ("model_type", "\"granite\""),
            ("embedding_multiplier", "12.0"),
            ("attention_multiplier", "0.015625"),
            ("residual_multiplier", "0.22"),
            ("logits_scaling", "8.0")
        );
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.EmbeddingMultiplier, each.AttentionMultiplier, each.ResidualMultiplier, each.LogitDivisor),
                Is.EqualTo((12.0, 0.015625, 0.22, 8.0))
            );
            Assert.That(each.Warnings, Is.Empty);
        }
        Assert.That(Load(("model_type", "\"granite\"")).AttentionMultiplier, Is.EqualTo(1), "as in GraniteConfig");
    }

    [TestCase("{}", "1110")]
    [TestCase("""{"no_rope_layer_interval":2}""", "1010")]
    [TestCase("""{"no_rope_layers":[0,1,1,0,1]}""", "0110")]
    public void LayersOfSmolLm3TurnByPositionOrNot(string keys, string expected)
    {
        JsonObject json = Json(("model_type", "\"smollm3\""), ("num_hidden_layers", "4"));
        json.Remove("tie_word_embeddings");
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        ModelConfig config = TinyModel.WriteConfig(folder, json);
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                string.Concat(Enumerable.Range(0, 4).Select(layer => each.Rotates(layer) ? 1 : 0)),
                Is.EqualTo(expected)
            );
            Assert.That((each.TieWordEmbeddings, each.RopeTheta), Is.EqualTo((true, 2e6)));
        }
    }

    [TestCase("phi3", """{"partial_rotary_factor":0.5}""", "partial_rotary_factor is 0.5, expected a share of the 6")]
    [TestCase("phi3", """{"partial_rotary_factor":0}""", "partial_rotary_factor is 0, expected a share of the 6")]
    [TestCase("phi3", """{"partial_rotary_factor":1.5}""", "partial_rotary_factor is 1.5, expected")]
    [TestCase(
        "phi3",
        """{"rope_scaling":{"partial_rotary_factor":0.2}}""",
        "rope_scaling.partial_rotary_factor is 0.2, expected a share of the 6"
    )]
    [TestCase("glm4", """{}""", "partial_rotary_factor is missing, expected a share of the 6")]
    [TestCase("cohere2", """{"partial_rotary_factor":0.5}""", "partial_rotary_factor is 0.5, expected 1, as in every")]
    [TestCase("cohere", """{"use_qk_norm":1}""", "use_qk_norm is 1, expected true or false")]
    [TestCase("phi", """{"qk_layernorm":true,"head_dim":4}""", "qk_layernorm is true, expected false, as in all")]
    [TestCase("phi", """{"hidden_act":"silu","head_dim":4}""", "hidden_act is the string 'silu', expected one of gelu")]
    [TestCase("phi-msft", """{}""", "; phi-msft has a fused projection under names of its own")]
    [TestCase(
        "cohere2",
        """{"sliding_window":null}""",
        "sliding_window is missing, expected a whole number of at least 1"
    )]
    [TestCase("cohere2", """{"sliding_window_pattern":0}""", "sliding_window_pattern is 0, expected")]
    [TestCase("cohere2", """{"logit_scale":0}""", "logit_scale is 0, expected")]
    [TestCase("stablelm", """{"partial_rotary_factor":1}""", "head_dim is 6, expected hidden_size 8 over 2 heads")]
    [TestCase("starcoder2", """{"hidden_act":"silu"}""", "hidden_act is the string 'silu', expected one of gelu, ")]
    [TestCase("starcoder2", """{"use_bias":1}""", "use_bias is 1, expected true or false")]
    [TestCase(
        "gemma2",
        """{"layer_types":["full_attention","chunked_attention"]}""",
        "layer_types[1] is the string 'chunked_attention', expected full_attention or sliding_attention"
    )]
    [TestCase("gemma2", """{"layer_types":["full_attention"]}""", "layer_types is an array of 1, expected 2, one for")]
    [TestCase("gpt2", """{"activation_function":"relu"}""", "activation_function is the string 'relu', expected one")]
    [TestCase("gpt2", """{"scale_attn_by_inverse_layer_idx":true}""", "scale_attn_by_inverse_layer_idx is true")]
    [TestCase("gpt2", """{"add_cross_attention":true}""", "add_cross_attention is true, expected false")]
    [TestCase("gpt2", """{}""", "head_dim is 6, expected none, or 4")]
    [TestCase("gpt2", """{"head_dim":4,"num_key_value_heads":1}""", "num_key_value_heads is 1, expected none, or 2")]
    [TestCase("gpt2", """{"n_layer":0}""", "n_layer is 0, expected a whole number from 1")]
    [TestCase("gpt2", """{"n_embd":"x"}""", "n_embd is the string 'x', expected a whole number")]
    [TestCase("phi4mm", """{}""", "; phi4mm has images and sound as input, which is not supported")]
    [TestCase("glm4v", """{}""", "; glm4v has images as input, which is not supported")]
    public void WhatAFamilyDoesNotHaveIsRefusedByName(string type, string keys, string message) =>
        Assert.That(
            () => WithKeys(type, keys, ("head_dim", "6")),
            Throws.TypeOf<InputException>().With.Message.Contains(message)
        );

    [TestCase("""{}""", "1110", 0.0625)]
    [TestCase("""{"sliding_window_pattern":2,"logit_scale":0.3}""", "1010", 0.3)]
    [TestCase(
        """{"layer_types":["full_attention","sliding_attention","full_attention","full_attention"]}""",
        "0100",
        0.0625
    )]
    public void LayersOfCohere2TurnWhereTheyHaveAWindow(string keys, string expected, double scale)
    {
        ModelConfig config = WithKeys("cohere2", keys, ("num_hidden_layers", "4"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            foreach (
                Func<int, bool> has in new Func<int, bool>[] { each.Rotates, layer => each.WindowOf(layer) == 4096 }
            )
            {
                Assert.That(
                    string.Concat(Enumerable.Range(0, 4).Select(layer => has(layer) ? 1 : 0)),
                    Is.EqualTo(expected)
                );
            }
            Assert.That((each.LogitMultiplier, each.TieWordEmbeddings), Is.EqualTo((scale, true)));
            Assert.That(each.Warnings, Is.Empty);
        }
    }

    [TestCase("phi3", 1e-5, 10000)]
    [TestCase("glm4", 1.5625e-7, 10000)]
    [TestCase("cohere", 1e-5, 500000)]
    [TestCase("phi", 1e-5, 10000)]
    [TestCase("cohere2", 1e-5, 10000)]
    public void EpsilonAndThetaHaveTheFamilysDefault(string type, double epsilon, double theta)
    {
        ModelConfig config = WithKeys(type, "{}", ("rms_norm_eps", "null"), ("head_dim", "8"));
        Assert.That((config.RmsNormEpsilon, config.RopeTheta), Is.EqualTo((epsilon, theta)));
    }

    [Test]
    public void KeysOfStableLm()
    {
        ModelConfig config = WithKeys(
            "stablelm",
            """{"use_qkv_bias":true,"use_parallel_residual":true,"layer_norm_eps":1e-3,"hidden_act":"gelu"}""",
            ("head_dim", "null"),
            ("hidden_size", "16"),
            ("rms_norm_eps", "0.5")
        );
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.QueryKeyValueBias, each.ParallelResidual, each.RmsNormEpsilon, each.Activation),
                Is.EqualTo((true, true, 1e-3, Activation.Gelu))
            );
            Assert.That((each.RotaryDimension, each.PartialRotaryFactor), Is.EqualTo((2, 0.25)));
        }
    }

    /// <summary>Command R+ has one tensor for the norms of all heads, StableLM 2 12B a module for each.</summary>
    [TestCase("cohere", "use_qk_norm", "q_norm.weight [2, 4]", "k_norm.weight [1, 4]")]
    [TestCase("stablelm", "qk_layernorm", "q_layernorm.norms.1.weight [4]", "k_layernorm.norms.0.weight [4]")]
    public void NormsOfHeadsAreAskedFor(string type, string key, string query, string keys)
    {
        string all = $$"""{"{{key}}":true,"partial_rotary_factor":1}""";
        ModelConfig config = WithKeys(type, all, ("head_dim", "4"), ("num_key_value_heads", "1"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            string[] names =
            [
                .. ModelTensors.For(each).Select(spec => $"{spec.Name} {InputText.Shape([.. spec.Shape])}"),
            ];
            Assert.That(
                names,
                Is.SupersetOf([$"model.layers.1.self_attn.{query}", $"model.layers.0.self_attn.{keys}"])
            );
        }
        Assert.That(WithKeys(type, "{}", ("partial_rotary_factor", "1"), ("head_dim", "4")).HeadNorms, Is.False);
    }

    [Test]
    public void KeysOfStarcoder2()
    {
        ModelConfig config = WithKeys("starcoder2", """{"use_bias":false}""", ("hidden_act", "null"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.MlpBias, each.TieWordEmbeddings, each.RmsNormEpsilon, each.Activation),
                Is.EqualTo((false, true, 1e-5, Activation.GeluTanh))
            );
        }
    }

    /// <summary>
    /// The keys of GPT-2's own files, and those of most families, which transformers takes for it too.
    /// </summary>
    [TestCase("""{"n_embd":8,"n_layer":2,"n_head":2,"n_positions":32,"n_inner":12,"scale_attn_weights":false}""", 12)]
    [TestCase("""{"n_embd":8,"n_layer":2,"n_head":2,"n_positions":32,"n_inner":null,"hidden_size":99}""", 32)]
    [TestCase("""{"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"max_position_embeddings":32}""", 32)]
    public void KeysOfGpt2(string keys, int inner)
    {
        JsonObject json = JsonNode.Parse(keys)!.AsObject();
        json["model_type"] = "gpt2";
        json["vocab_size"] = 11;
        ModelConfig config = TinyModel.WriteConfig(folder, json);
        config.Save(folder.Path);
        JsonObject written = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        Assert.That(
            new[] { "n_embd", "n_layer", "n_head", "n_positions", "n_inner" }.Select(key => (int)written[key]!),
            Is.EqualTo(new[] { 8, 2, 2, 32, inner })
        );
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.HiddenSize, each.HeadDimension, each.IntermediateSize, each.LongestSequence),
                Is.EqualTo((8, 4, inner, 32))
            );
            Assert.That((each.Rotates(0), each.Activation), Is.EqualTo((false, Activation.GeluTanh)));
            Assert.That(each.AttentionMultiplier, Is.EqualTo(json.ContainsKey("scale_attn_weights") ? 1 : null));
            Assert.That((each.TieWordEmbeddings, each.RmsNormEpsilon), Is.EqualTo((true, 1e-5)));
        }
    }

    private static IEnumerable<string> Families =>
        ModelFamilies.All.Where(family => !family.SeesAhead).Select(family => family.ModelType);

    [Test]
    public void AHeadOfQwen3IsAsWideAsTheFamilysUnlessTheConfigSays() =>
        Assert.That(
            (Load(("model_type", "\"qwen3\"")).HeadDimension, Load(("model_type", "\"olmo2\"")).HeadDimension),
            Is.EqualTo((128, 4))
        );

    [TestCase("phi3", "self_attn.qkv_proj.weight [24, 8]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("phi4", "self_attn.qkv_proj.weight [24, 8]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("glm", "self_attn.q_proj.bias [12]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("glm4", "post_self_attn_layernorm.weight [8]", "post_mlp_layernorm.weight [8]", 4)]
    [TestCase("cohere", "self_attn.q_proj.weight [12, 8]", "mlp.up_proj.weight [12, 8]", 1)]
    [TestCase("cohere2", "self_attn.q_proj.weight [12, 8]", "mlp.up_proj.weight [12, 8]", 1)]
    [TestCase("phi", "self_attn.dense.bias [8]", "mlp.fc2.weight [8, 12]", 2)]
    public void TensorsOfAFamily(string type, string one, string other, int norms)
    {
        ModelConfig config = WithKeys(type, """{"partial_rotary_factor":1}""", ("head_dim", "6"));
        string[] first =
        [
            .. ModelTensors
                .For(config)
                .Where(spec => spec.Name.StartsWith("model.layers.1.", StringComparison.Ordinal))
                .Select(spec => $"{spec.Name["model.layers.1.".Length..]} {InputText.Shape([.. spec.Shape])}"),
        ];
        Assert.That(first, Is.SupersetOf([one, other]));
        Assert.That(first.Count(name => name.Contains("norm", StringComparison.Ordinal)), Is.EqualTo(norms));
    }
}
