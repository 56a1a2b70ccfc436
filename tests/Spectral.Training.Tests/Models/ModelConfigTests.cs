using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Models;

/// <summary>Keys that all families have: defaults, refusals, tokens, tensors.</summary>
public sealed class ModelConfigTests : ConfigTest
{
    [Test]
    public void AbsentKeysGetTheUsualDefaults()
    {
        ModelConfig config = Load(("num_key_value_heads", "null"), ("rms_norm_eps", "null"));

        Assert.That(
            (config.HeadDimension, config.KeyValueHeads, config.RmsNormEpsilon, config.RopeTheta, config.MaxPositions),
            Is.EqualTo((4, 2, 1e-6, 10000.0, 2048))
        );
        Assert.That(
            (
                config.TieWordEmbeddings,
                config.QueryKeyValueBias,
                config.OutputBias,
                config.MlpBias,
                config.SlidingWindow
            ),
            Is.EqualTo((false, false, false, false, 0))
        );
        Assert.That(
            (config.RopeScaling, config.BosTokenId, config.WeightType),
            Is.EqualTo(((RopeScaling?)null, (int?)null, (string?)null))
        );
        Assert.That(config.EosTokenIds, Is.EqualTo(new[] { 2 }));
    }

    [TestCase("attention_dropout", "0.1", 1)]
    [TestCase("resid_pdrop", "0.1", 1)]
    [TestCase("embd_pdrop", "0.0", 0)]
    [TestCase("attention_dropout", "0.0", 0)]
    [TestCase("auto_map", """{"AutoModel":"x.Y"}""", 1)]
    [TestCase("hidden_activation", "\"gelu\"", 1)]
    [TestCase("hidden_activation", "\"silu\"", 0)]
    [TestCase("logit_scale", "0.0625", 1)]
    [TestCase("logit_scale", "1.0", 0)]
    [TestCase("final_logit_softcapping", "null", 0)]
    [TestCase("pretraining_tp", "2", 0)]
    [TestCase("pad_token_id", "-1", 0)]
    [TestCase("use_cache", "false", 0)]
    public void KeysThatAreNotHeededAreMentionedIfTheyMatter(string key, string json, int warnings)
    {
        ModelConfig config = Load((key, json));
        Assert.That(config.Warnings, Has.Count.EqualTo(warnings));
        Assert.That(config.Warnings, Is.All.Contains(key));
    }

    [Test]
    public void EndTokensComeFromBothFiles()
    {
        folder.Write("generation_config.json", """{"eos_token_id":[5,2,7]}""");
        Assert.That(Load(("eos_token_id", "[2,3]")).EosTokenIds, Is.EqualTo(new[] { 2, 3, 5, 7 }));
        Assert.That(Load(("eos_token_id", "null")).EosTokenIds, Is.EqualTo(new[] { 5, 2, 7 }));
    }

    [TestCase("model_type", "\"bloom\"", "(no other architecture is supported)")]
    [TestCase("model_type", "null", "missing")]
    [TestCase("model_type", "3", "a string")]
    [TestCase("vocab_size", "null", "missing")]
    [TestCase("vocab_size", "0", "whole number from 1")]
    [TestCase("vocab_size", "-5", "-5")]
    [TestCase("vocab_size", "1e12", "whole number")]
    [TestCase("vocab_size", "99999999999999999999", "whole number")]
    [TestCase("hidden_size", "\"8\"", "the string '8'")]
    [TestCase("hidden_size", "8.5", "8.5")]
    [TestCase("hidden_size", "[]", "an array")]
    [TestCase("hidden_size", "7", "num_attention_heads")]
    [TestCase("intermediate_size", "2000000", "1048576")]
    [TestCase("num_hidden_layers", "1000000000", "1024")]
    [TestCase("num_attention_heads", "0", "from 1")]
    [TestCase("num_key_value_heads", "3", "from 1 to 2")]
    [TestCase("head_dim", "5", "even")]
    [TestCase("rms_norm_eps", "-1", "from 0")]
    [TestCase("rms_norm_eps", "1e999", "a number")]
    [TestCase("rope_theta", "0", "rope_theta")]
    [TestCase("rope_scaling", "[]", "an object")]
    [TestCase("rope_scaling", """{"rope_type":"mrope","factor":4}""", "rope_scaling.rope_type is the string 'mrope'")]
    [TestCase("rope_scaling", """{"type":"linear"}""", "rope_scaling.factor is missing")]
    [TestCase(
        "rope_scaling",
        """{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":"""
            + """4,"original_max_position_embeddings":64}""",
        "more than low_freq_factor"
    )]
    [TestCase("rope_parameters", """{"full_attention":{"rope_type":"default"}}""", "rope_parameters.rope_type")]
    [TestCase("tie_word_embeddings", "\"yes\"", "true or false")]
    [TestCase("hidden_act", "\"relu\"", "one of silu, swish, gelu, gelu_pytorch_tanh, gelu_new, gelu_fast")]
    [TestCase("eos_token_id", "11", "from 0 to 10")]
    [TestCase("eos_token_id", "[1,\"a\"]", "'a'")]
    [TestCase("quantization_config", "{}", "quantization_config.quant_method is missing")]
    [TestCase("compression_config", "7", "compression_config is 7, expected an object")]
    [TestCase("partial_rotary_factor", "0.5", "expected 1")]
    [TestCase("rope_parameters", """{"rope_theta":500,"partial_rotary_factor":0.5}""", "expected 1")]
    [TestCase("rope_scaling", """{"type":"linear","rope_type":"default","factor":2}""", "as type says")]
    [TestCase("rope_scaling", """{"factor":2}""", "rope_scaling.rope_type is missing")]
    [TestCase("quantization", """{"bits":4}""", "quantised")]
    public void AWrongKeyIsNamed(string key, string json, string says) =>
        Assert.That(
            () => Load((key, json)),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith(folder.File("config.json"))
                .And.Message.Contains(says)
        );

    [Test]
    public void SizesThatAreHugeTogetherAreRefused() =>
        Assert.That(
            () => Load(("hidden_size", "262144"), ("intermediate_size", "1048576"), ("num_hidden_layers", "1024")),
            Throws.TypeOf<InputException>().With.Message.Contains("parameters")
        );

    [TestCase("", "0 bytes")]
    [TestCase("[]", "an array of 0, expected an object")]
    [TestCase("{\n\"a\":1,}", "JSON line 2")]
    [TestCase("""{"a":1,"a":2}""", "not valid JSON")]
    [TestCase("""{"model_type":"\ud800"}""", "surrogate")]
    public void WhatIsNotAJsonObjectIsRefused(string text, string says)
    {
        folder.Write("config.json", text);
        Assert.That(
            () => ModelConfig.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains(says).And.Message.Contains("config.json")
        );
    }

    [Test]
    public void InvalidUtf8AndMissingFilesAreRefused()
    {
        Assert.That(
            () => ModelConfig.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file")
        );
        Assert.That(
            () => ModelConfig.Load(folder.File("none")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such folder")
        );
        folder.Write("config.json", [(byte)'{', 0xFF, (byte)'}']);
        Assert.That(
            () => ModelConfig.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("not UTF-8 at byte 1")
        );
    }

    [Test]
    public void SavingAndLoadingGivesTheSameConfig()
    {
        ModelConfig config = Load(
            ("head_dim", "6"),
            ("attention_bias", "true"),
            ("mlp_bias", "true"),
            ("rope_theta", "123.5"),
            ("bos_token_id", "1"),
            ("eos_token_id", "[3,4]"),
            ("torch_dtype", "\"bfloat16\""),
            ("tie_word_embeddings", "true"),
            ("initializer_range", "0.1"),
            (
                "rope_scaling",
                """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":"""
                    + """4,"original_max_position_embeddings":64}"""
            ),
            ("architectures", """["LlamaForCausalLM"]"""),
            ("something_new", """{"a":[1,null]}""")
        );

        config.Save(folder.Path);

        var again = ModelConfig.Load(folder.Path);
        Assert.That(again with { EosTokenIds = config.EosTokenIds, OtherKeys = config.OtherKeys }, Is.EqualTo(config));
        Assert.That(again.EosTokenIds, Is.EqualTo(config.EosTokenIds));
        Assert.That(again.OtherKeys, Is.EquivalentTo(config.OtherKeys));
    }

    [Test]
    public void TensorsOfAConfig()
    {
        ModelConfig config = Load(
            ("model_type", "\"qwen2\""),
            ("tie_word_embeddings", "true"),
            ("head_dim", "6"),
            ("num_hidden_layers", "1")
        );
        string[] expected =
        [
            "model.embed_tokens.weight [11, 8]",
            "model.layers.0.input_layernorm.weight [8]",
            "model.layers.0.post_attention_layernorm.weight [8]",
            "model.layers.0.self_attn.q_proj.weight [12, 8]",
            "model.layers.0.self_attn.q_proj.bias [12]",
            "model.layers.0.self_attn.k_proj.weight [6, 8]",
            "model.layers.0.self_attn.k_proj.bias [6]",
            "model.layers.0.self_attn.v_proj.weight [6, 8]",
            "model.layers.0.self_attn.v_proj.bias [6]",
            "model.layers.0.self_attn.o_proj.weight [8, 12]",
            "model.layers.0.mlp.gate_proj.weight [12, 8]",
            "model.layers.0.mlp.up_proj.weight [12, 8]",
            "model.layers.0.mlp.down_proj.weight [8, 12]",
            "model.norm.weight [8]",
        ];
        Assert.That(
            ModelTensors.For(config).Select(spec => $"{spec.Name} {InputText.Shape([.. spec.Shape])}"),
            Is.EqualTo(expected)
        );
        Assert.That(config.ParameterCount, Is.EqualTo(88 + 16 + 108 + 2 * 54 + 96 + 3 * 96 + 8));
        Assert.That(
            ModelTensors.For(config with { TieWordEmbeddings = false }).Last().Name,
            Is.EqualTo("lm_head.weight")
        );
    }
}
