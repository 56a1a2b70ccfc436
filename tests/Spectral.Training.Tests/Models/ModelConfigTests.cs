using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

public sealed class ModelConfigTests : FolderTest
{
    private ModelConfig Load(params (string Key, string Json)[] changes) =>
        TinyModel.WriteConfig(folder, Json(changes));

    private static JsonObject Json(params (string Key, string Json)[] changes)
    {
        JsonObject json = TinyModel.ConfigJson();
        foreach ((string key, string value) in changes)
            json[key] = JsonNode.Parse(value);
        return json;
    }

    /// <summary>Loads the config of another family with further keys.</summary>
    private ModelConfig LoadWith(string type, string keys, params (string Key, string Json)[] changes)
    {
        JsonObject json = Json([("model_type", $"\"{type}\""), .. changes]);
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        return TinyModel.WriteConfig(folder, json);
    }

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

    [Test]
    public void RopeIsReadInBothStyles()
    {
        string llama3 =
            """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":"""
            + """4,"original_max_position_embeddings":64,"rope_theta":500}""";
        Llama3Scaling expected = new(8, 1, 4, 64);

        Assert.That(
            Load(("rope_theta", "300"), ("rope_scaling", llama3)),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").EqualTo(expected)
        );
        Assert.That(
            Load(("rope_theta", "300"), ("rope_parameters", llama3)),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").EqualTo(expected)
        );
        Assert.That(
            Load(("rope_parameters", """{"rope_theta":500,"rope_type":"default"}""")),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").Null
        );
        Assert.That(
            Load(("rope_scaling", """{"type":"linear","factor":2.5}""")).RopeScaling,
            Is.EqualTo(new LinearScaling(2.5))
        );
        Assert.That(Load(("rope_scaling", "null")).RopeScaling, Is.Null);
    }

    // convert_rope_params_to_dict of transformers 5: what rope_scaling has, if anything, then rope_parameters, then the
    // key beside them.
    [TestCase("""{"rope_scaling":{"rope_theta":500}}""", 500, 0)]
    [TestCase("""{"rope_scaling":{"rope_theta":500,"rope_type":"default"},"rope_theta":300}""", 500, 1)]
    [TestCase("""{"rope_scaling":{},"rope_parameters":{"rope_theta":500}}""", 500, 0)]
    [TestCase("""{"rope_scaling":{"rope_theta":500},"rope_parameters":{"rope_theta":600}}""", 500, 1)]
    [TestCase("""{"rope_scaling":{"rope_theta":500},"rope_parameters":{"rope_theta":500},"rope_theta":500}""", 500, 0)]
    [TestCase("""{"rope_theta":null}""", 10000, 0)]
    public void ThetaIsFoundWhereItIs(string keys, double theta, int warnings)
    {
        ModelConfig config = Load([
            .. JsonNode.Parse(keys)!.AsObject().Select(pair => (pair.Key, pair.Value?.ToJsonString() ?? "null")),
        ]);
        Assert.That(
            (config.RopeTheta, config.RopeScaling, config.Warnings.Count),
            Is.EqualTo((theta, (RopeScaling?)null, warnings))
        );
    }

    [Test]
    public void TheOriginalPositionsMayStandBesideTheScaling()
    {
        const string Scaling = """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4}""";
        ModelConfig config = Load(("rope_scaling", Scaling), ("original_max_position_embeddings", "64"));
        Assert.That(config.RopeScaling, Is.EqualTo(new Llama3Scaling(8, 1, 4, 64)));
    }

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
    public void RotaryFrequenciesFollowTheFormulas()
    {
        ModelConfig plain = Load(("head_dim", "8"));
        float[] expected = [1, 0.1f, 0.01f, 0.001f];
        Assert.That(plain.RotaryFrequencies(), Is.EqualTo(expected).Within(1).Ulps);
        Assert.That(
            (plain with { RopeScaling = new LinearScaling(4) }).RotaryFrequencies(),
            Is.EqualTo(expected.Select(f => f / 4)).Within(1).Ulps
        );

        // Wavelengths 2π, 63, 628, 6283 against 256/4 = 64 and 256/1: kept, kept, slowed, slowed; with 1024 the third
        // lies in the passage.
        Assert.That(
            (plain with { RopeScaling = new Llama3Scaling(8, 1, 4, 256) }).RotaryFrequencies(),
            Is.EqualTo(new[] { 1, 0.1f, 0.00125f, 0.000125f }).Within(1).Ulps
        );
        double t = ((1024 * 0.01 / (2 * Math.PI)) - 1) / 3;
        Assert.That(
            (plain with { RopeScaling = new Llama3Scaling(8, 1, 4, 1024) }).RotaryFrequencies()[2],
            Is.EqualTo((float)(((1 - t) * 0.01 / 8) + (t * 0.01))).Within(1).Ulps
        );
    }

    // By independent arithmetic, from the formulas of the papers; the pair that turns 32 times in 256 positions is the
    // first, the one that turns once the second.
    [Test]
    public void YarnDividesWhatTurnsRarely()
    {
        ModelConfig config = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "256"),
            ("rope_scaling", """{"rope_type":"yarn","factor":4}""")
        );
        Assert.That(config.RotaryFrequencies(), Is.EqualTo(new[] { 1, 0.0625f, 0.0025f, 0.00025f }).Within(1).Ulps);
        Assert.That(config.RopeScaling!.Amplitude, Is.EqualTo(1.138629436111989).Within(1e-14));
        Assert.That(config.LongestSequence, Is.EqualTo(1024));
        ModelConfig fractional = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "1024"),
            (
                "rope_scaling",
                """{"rope_type":"yarn","original_max_position_embeddings":256,"truncate":false,"mscale":1,"""
                    + "\"mscale_all_dim\":1}"
            )
        );
        Assert.That(fractional.RotaryFrequencies()[1], Is.EqualTo(0.055398636f).Within(2).Ulps);
        Assert.That(fractional.RopeScaling!.Amplitude, Is.EqualTo(1));
        Assert.That(fractional.LongestSequence, Is.EqualTo(1024));
    }

    [Test]
    public void DynamicAnglesDependOnTheLengthBeyondThatOfPretraining()
    {
        ModelConfig config = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "64"),
            ("rope_scaling", """{"type":"dynamic","factor":2}""")
        );
        Assert.That(config.RotaryFrequencies(64), Is.EqualTo(new[] { 1, 0.1f, 0.01f, 0.001f }).Within(1).Ulps);
        Assert.That(
            config.RotaryFrequencies(96),
            Is.EqualTo(new[] { 1, 0.0793700526f, 0.0062996052f, 0.0005f }).Within(1).Ulps
        );
        Assert.That(config.LongestSequence, Is.EqualTo(128));
    }

    [Test]
    public void LongRopeHasFactorsForShortAndForLongSequences()
    {
        ModelConfig config = Load(
            ("head_dim", "4"),
            ("max_position_embeddings", "256"),
            ("original_max_position_embeddings", "64"),
            ("rope_scaling", """{"type":"longrope","short_factor":[1,2],"long_factor":[4,8]}""")
        );
        Assert.That(config.RotaryFrequencies(64), Is.EqualTo(new[] { 1, 0.005f }).Within(1).Ulps);
        Assert.That(config.RotaryFrequencies(65), Is.EqualTo(new[] { 0.25f, 0.00125f }).Within(1).Ulps);
        Assert.That(config.RopeScaling!.Amplitude, Is.EqualTo(1.1547005383792517).Within(1e-14));
    }

    [TestCase("""{"type":"yarn","factor":4,"beta_fast":8,"attention_factor":1.25}""")]
    [TestCase("""{"type":"yarn","factor":4,"truncate":false,"mscale":0.7,"mscale_all_dim":0.5}""")]
    [TestCase("""{"type":"longrope","short_factor":[1,2],"long_factor":[4,8],"factor":4}""")]
    [TestCase("""{"type":"dynamic","factor":3}""")]
    [TestCase("""{"type":"linear","factor":3}""")]
    public void AScalingIsWrittenAsItWasRead(string scaling)
    {
        ModelConfig config = Load(("rope_scaling", scaling));
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        foreach (int length in new[] { 1, 2048, 2049, 4000 })
            Assert.That(again.RotaryFrequencies(length), Is.EqualTo(config.RotaryFrequencies(length)));
        Assert.That(again.RopeScaling!.Amplitude, Is.EqualTo(config.RopeScaling!.Amplitude));
        Assert.That(again.LongestSequence, Is.EqualTo(config.LongestSequence));
    }

    [TestCase("""{"type":"yarn","factor":4,"beta_fast":0.5}""", "rope_scaling.beta_fast is 0.5, expected at least")]
    [TestCase(
        """{"type":"longrope","short_factor":[1],"long_factor":[4,8],"factor":4}""",
        "rope_scaling.short_factor is"
    )]
    [TestCase("""{"type":"longrope","short_factor":[1,2],"factor":4}""", "rope_scaling.long_factor is missing")]
    [TestCase(
        """{"type":"longrope","short_factor":[1,0],"long_factor":[4,8],"factor":4}""",
        "rope_scaling.short_factor is 0, expected a positive number"
    )]
    [TestCase("""{"type":"dynamic"}""", "rope_scaling.factor is missing, expected a number of at least 1")]
    [TestCase("""{"type":"mrope"}""", "rope_scaling.type is the string 'mrope', expected default, linear, dynamic")]
    public void AnImpossibleScalingIsRefused(string scaling, string message) =>
        Assert.That(
            () => Load(("rope_scaling", scaling)),
            Throws.TypeOf<InputException>().With.Message.Contains(message)
        );

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

    // convert_rope_params_to_dict of transformers 5: what the object has, then the key beside it, then the default.
    [TestCase("phi3", """{}""", 6, 0)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75}""", 4, 0)]
    [TestCase("phi3", """{"rope_parameters":{"rope_theta":500,"partial_rotary_factor":0.34}}""", 2, 0)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75,"rope_scaling":{"partial_rotary_factor":0.34}}""", 2, 1)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75,"rope_scaling":{"partial_rotary_factor":0.75}}""", 4, 0)]
    [TestCase("glm", """{"head_dim":8}""", 4, 0)]
    [TestCase("glm4", """{"partial_rotary_factor":1}""", 6, 0)]
    public void AShareOfAHeadMayTurn(string type, string keys, int turning, int warnings)
    {
        ModelConfig config = WithKeys(type, keys, ("head_dim", "6"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That((each.RotaryDimension, each.RotaryFrequencies().Length), Is.EqualTo((turning, turning / 2)));
            Assert.That(
                each.RotaryFrequencies()[^1],
                Is.EqualTo((float)Math.Pow(each.RopeTheta, 2.0 / turning - 1)).Within(1).Ulps
            );
        }
        Assert.That(config.Warnings, Has.Count.EqualTo(warnings));
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
    [TestCase("cohere", """{"use_qk_norm":true}""", "use_qk_norm is true, expected false: norms")]
    [TestCase(
        "cohere2",
        """{"sliding_window":null}""",
        "sliding_window is missing, expected a whole number of at least 1"
    )]
    [TestCase("cohere2", """{"sliding_window_pattern":0}""", "sliding_window_pattern is 0, expected")]
    [TestCase("cohere2", """{"logit_scale":0}""", "logit_scale is 0, expected")]
    [TestCase("stablelm", """{"qk_layernorm":true,"head_dim":4,"partial_rotary_factor":0.5}""", "qk_layernorm is true")]
    [TestCase("stablelm", """{"partial_rotary_factor":1}""", "head_dim is 6, expected hidden_size 8 over 2 heads")]
    [TestCase("starcoder2", """{"hidden_act":"silu"}""", "hidden_act is the string 'silu', expected one of gelu, ")]
    [TestCase("starcoder2", """{"use_bias":1}""", "use_bias is 1, expected true or false")]
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

    // The first checkpoints of Phi-3 call LongRoPE su or yarn. Positions of pretraining are 4096 unless given.
    [TestCase("su", 1.1902380714238083)]
    [TestCase("yarn", 1.1902380714238083)]
    [TestCase("longrope", 1.1902380714238083)]
    public void LongRopeOfPhi3IsWrittenAsTransformers4ReadsIt(string name, double amplitude)
    {
        ModelConfig config = WithKeys(
            "phi3",
            $$"""{"max_position_embeddings":131072,"rope_scaling":{"type":"{{name}}","short_factor":[1,2],"""
                + "\"long_factor\":[4,8]}}",
            ("head_dim", "4")
        );
        config.Save(folder.Path);
        JsonObject written = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        Assert.That(
            written["rope_scaling"]!.AsObject().Select(pair => pair.Key),
            Is.EqualTo(new[] { "type", "short_factor", "long_factor" })
        );
        Assert.That((int)written["original_max_position_embeddings"]!, Is.EqualTo(4096));
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(each.RopeScaling!.Amplitude, Is.EqualTo(amplitude).Within(1e-14));
            Assert.That(each.RotaryFrequencies(4096), Is.EqualTo(new[] { 1, 0.005f }).Within(1).Ulps);
            Assert.That(each.RotaryFrequencies(4097), Is.EqualTo(new[] { 0.25f, 0.00125f }).Within(1).Ulps);
        }
    }

    [Test]
    public void LongRopeOfPhi3KeepsWhatDoesNotFollow()
    {
        const string Factors = "\"short_factor\":[1,2],\"long_factor\":[4,8]";
        ModelConfig config = WithKeys(
            "phi3",
            $$"""{"original_max_position_embeddings":32,"rope_scaling":{"type":"longrope",{{Factors}},"""
                + "\"attention_factor\":1.25}}",
            ("head_dim", "4")
        );
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        Assert.That(again.RopeScaling!.Amplitude, Is.EqualTo(1.25));
        Assert.That(again.RotaryFrequencies(33), Is.EqualTo(config.RotaryFrequencies(33)));
    }

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

    private static IEnumerable<string> Families => ModelFamilies.All.Select(family => family.ModelType);

    // A config without the keys that families have defaults for, with others.
    private ModelConfig WithKeys(string type, string keys, params (string Key, string Json)[] changes)
    {
        JsonObject json = Json([("model_type", $"\"{type}\""), .. changes]);
        json.Remove("tie_word_embeddings");
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        return TinyModel.WriteConfig(folder, json);
    }

    [Test]
    public void AHeadOfQwen3IsAsWideAsTheFamilysUnlessTheConfigSays() =>
        Assert.That(
            (Load(("model_type", "\"qwen3\"")).HeadDimension, Load(("model_type", "\"olmo2\"")).HeadDimension),
            Is.EqualTo((128, 4))
        );

    // Values of Gemma2Config in transformers; null is no cap, and a whole number stays one.
    [TestCase("{}", 0.0625, 50, 30)]
    [TestCase("""{"attn_logit_softcapping":null,"final_logit_softcapping":null}""", 0.0625, 0, 0)]
    [TestCase(
        """{"query_pre_attn_scalar":144,"attn_logit_softcapping":20.5,"final_logit_softcapping":5}""",
        0.083333333333333329,
        20.5,
        5
    )]
    public void Gemma2HasSoftCapsAndAFactorOnScores(string keys, double multiplier, double scores, double logits)
    {
        ModelConfig config = LoadWith("gemma2", keys);
        config.Save(folder.Path);
        string written = File.ReadAllText(folder.File("config.json"));
        Assert.That(written, Does.Match("\"query_pre_attn_scalar\": (256|144),"));
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.AttentionMultiplier, each.AttentionSoftCap, each.LogitSoftCap),
                Is.EqualTo((multiplier, scores, logits))
            );
            Assert.That(
                (each.EmbeddingMultiplier, each.Activation, each.HeadDimension, each.TieWordEmbeddings),
                Is.EqualTo((Math.Sqrt(8), Activation.GeluTanh, 256, true))
            );
            Assert.That(each.Warnings, Is.Empty);
        }
    }

    // Gemma3TextConfig of transformers 4 and of 5: the base of layers with a window in a key of its own, or an object
    // of parameters for each type of layer.
    [TestCase("{}", 1e6, 0, 1e4, 0)]
    [TestCase(
        """{"rope_theta":5e5,"rope_local_base_freq":300,"rope_scaling":{"rope_type":"linear","factor":8}}""",
        5e5,
        8,
        300,
        0
    )]
    [TestCase(
        """{"rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,"rope_theta":7e5},"""
            + """ "sliding_attention":{"rope_type":"default","rope_theta":400}}}""",
        7e5,
        8,
        400,
        0
    )]
    [TestCase(
        """{"rope_theta":5e5,"rope_local_base_freq":300,"rope_parameters":{"sliding_attention":"""
            + """{"rope_type":"linear","factor":2},"full_attention":{"rope_type":"default"}}}""",
        5e5,
        0,
        300,
        2
    )]
    public void LayersOfGemma3TurnByTheirType(string keys, double full, double factor, double sliding, double second)
    {
        ModelConfig config = LoadWith("gemma3_text", keys, ("sliding_window_pattern", "2"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(each.RotaryOf(1), Is.EqualTo(Angles(full, factor)));
            Assert.That(each.RotaryOf(0), Is.EqualTo(Angles(sliding, second)));
            Assert.That(each.Warnings, Is.Empty);
        }

        static RotaryAngles Angles(double theta, double factor) =>
            new(theta, factor > 0 ? new LinearScaling(factor) : null);
    }

    [TestCase(
        "gemma2",
        """{"use_bidirectional_attention":true}""",
        "use_bidirectional_attention is true, expected false"
    )]
    [TestCase(
        "gemma3_text",
        """{"use_bidirectional_attention":1}""",
        "use_bidirectional_attention is 1, expected true"
    )]
    [TestCase("gemma2", """{"attn_logit_softcapping":0}""", "attn_logit_softcapping is 0, expected a number from")]
    [TestCase("gemma3_text", """{"final_logit_softcapping":-3}""", "final_logit_softcapping is -3, expected a number")]
    [TestCase("gemma2", """{"query_pre_attn_scalar":0}""", "query_pre_attn_scalar is 0, expected a number from")]
    [TestCase("gemma2", """{"sliding_window":null}""", "sliding_window is missing, expected a whole number from 1")]
    [TestCase("gemma3_text", """{"sliding_window_pattern":0}""", "sliding_window_pattern is 0, expected a whole")]
    [TestCase("gemma3_text", """{"rope_local_base_freq":0}""", "rope_local_base_freq is 0, expected a number from 1")]
    [TestCase(
        "gemma3_text",
        """{"rope_parameters":{"rope_type":"default"}}""",
        "rope_parameters.rope_type is the string 'default', expected no such key"
    )]
    [TestCase(
        "gemma3_text",
        """{"rope_parameters":{"sliding_attention":{"rope_type":"mrope"}}}""",
        "rope_parameters.sliding_attention.rope_type is the string 'mrope'"
    )]
    [TestCase("gemma2", """{"hidden_activation":"relu"}""", "hidden_activation is the string 'relu', expected one of")]
    [TestCase(
        "gemma3",
        """{"text_config":{"model_type":"gemma3_text"}}""",
        "gemma3 has images as input, which is not supported; its text model, a gemma3_text, can be read from a folder"
    )]
    public void WhatGemmaCannotBeIsRefused(string type, string keys, string says) =>
        Assert.That(() => LoadWith(type, keys), Throws.TypeOf<InputException>().With.Message.Contains(says));

    // What hidden_act and hidden_activation mean in GemmaConfig and in Gemma2Config of transformers 4.
    [TestCase("gemma", "{}", Activation.GeluTanh, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu"}""", Activation.Gelu, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu","hidden_activation":null}""", Activation.Gelu, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu","hidden_activation":"gelu_pytorch_tanh"}""", Activation.GeluTanh, 1)]
    [TestCase("gemma2", """{"hidden_act":"silu"}""", Activation.GeluTanh, 1)]
    [TestCase("gemma2", """{"hidden_act":"gelu_new"}""", Activation.GeluTanh, 0)]
    [TestCase("gemma3_text", """{"hidden_activation":"gelu"}""", Activation.Gelu, 0)]
    public void TheActivationOfGemmaIsUnderItsKeys(string type, string keys, Activation expected, int warnings)
    {
        ModelConfig config = LoadWith(type, keys);
        Assert.That((config.Activation, config.Warnings.Count), Is.EqualTo((expected, warnings)));
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        Assert.That((again.Activation, again.Warnings.Count), Is.EqualTo((expected, 0)));
    }

    [Test]
    public void ASoftCapThatGemma3IgnoresIsMentioned() =>
        Assert.That(
            LoadWith("gemma3_text", """{"attn_logit_softcapping":50.0}""").Warnings.Single(),
            Does.EndWith(
                "attn_logit_softcapping is '50.0', which gemma3_text models ignore, in transformers as well as here"
            )
        );

    [Test]
    public void EndTokensComeFromBothFiles()
    {
        folder.Write("generation_config.json", """{"eos_token_id":[5,2,7]}""");
        Assert.That(Load(("eos_token_id", "[2,3]")).EosTokenIds, Is.EqualTo(new[] { 2, 3, 5, 7 }));
        Assert.That(Load(("eos_token_id", "null")).EosTokenIds, Is.EqualTo(new[] { 5, 2, 7 }));
    }

    [TestCase("model_type", "\"bert\"", "(no other architecture is supported)")]
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
    [TestCase("[]", "an array, expected an object")]
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

    [TestCase("phi3", "self_attn.qkv_proj.weight [24, 8]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("phi4", "self_attn.qkv_proj.weight [24, 8]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("glm", "self_attn.q_proj.bias [12]", "mlp.gate_up_proj.weight [24, 8]", 2)]
    [TestCase("glm4", "post_self_attn_layernorm.weight [8]", "post_mlp_layernorm.weight [8]", 4)]
    [TestCase("cohere", "self_attn.q_proj.weight [12, 8]", "mlp.up_proj.weight [12, 8]", 1)]
    [TestCase("cohere2", "self_attn.q_proj.weight [12, 8]", "mlp.up_proj.weight [12, 8]", 1)]
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
