using System.Text.Json.Nodes;

namespace Spectral.Training.Tests;

public sealed class AdapterFolderTests : FolderTest
{
    private void OpenMustSay(params string[] says)
    {
        InputException error = Assert.Throws<InputException>(() => AdapterFolder.Open(folder.Path).Dispose())!;
        foreach (string text in says.Append(folder.Path))
            Assert.That(error.Message, Does.Contain(text));
    }

    private void OpenMustSay(JsonObject config, IEnumerable<TensorToWrite> tensors, params string[] says)
    {
        AdapterFiles.Write(folder, config, tensors);
        OpenMustSay(says);
    }

    [Test]
    public void Peft_folders_are_read(
        [Values("base_model.model.{0}.{1}.weight", "{0}.{1}.weight", "base_model.model.{0}.{1}.default.weight", "{0}.{1}.my-adapter.weight")] string format,
        [Values(StoredType.F32, StoredType.F16, StoredType.BF16)] StoredType type)
    {
        AdapterFiles.Write(folder, AdapterFiles.PeftConfig(), AdapterFiles.LowRank(AdapterFiles.Module, 2, type, format).Concat(AdapterFiles.LowRank(AdapterFiles.Other, 2, type, format)));

        using AdapterFolder adapter = AdapterFolder.Open(folder.Path);

        Assert.That(adapter.Warnings, Is.Empty);
        Assert.That((adapter.Config.Rank, adapter.Config.Alpha, adapter.Config.Dropout, adapter.Config.BaseModel, adapter.Config.TopK), Is.EqualTo((2, 16.0, 0.1, "base", (int?)null)));
        Assert.That(adapter.Modules.Keys, Is.EqualTo(new[] { AdapterFiles.Module, AdapterFiles.Other }));
        AdapterModule module = adapter.Modules[AdapterFiles.Other];
        Assert.That((module.Rank, module.TopK, module.Inputs, module.Outputs, module.Scale), Is.EqualTo((2, 0, 12L, 8L, 8.0)));
        Assert.That(module.LoraA!.Type, Is.EqualTo(type));
    }

    [Test]
    public void What_is_written_is_read_back()
    {
        AdapterConfig config = AdapterFiles.SpecLora(rank: 2, topK: 3) with
        {
            Dropout = 0.25,
            UseRsLora = true,
            ExcludeModules = ModulePattern.Of("k_proj"),
            LayersToTransform = [0, 1],
            LayersPattern = ["layers"],
            RankPattern = [new("down_proj", 4)],
            AlphaPattern = [new("down_proj", 1.5)],
            BaseTensorSha256 = new Dictionary<string, string> { ["model.norm.weight"] = "00ff" },
        };
        AdapterFolder.Write(folder.Path, config, [.. AdapterFiles.Spectral(AdapterFiles.Module, 3), .. AdapterFiles.LowRank(AdapterFiles.Module, 2)]);

        using AdapterFolder adapter = AdapterFolder.Open(folder.Path);

        AdapterConfig again = adapter.Config;
        Assert.That(adapter.Warnings, Is.Empty);
        Assert.That(again.TargetModules.Names, Is.EqualTo(config.TargetModules.Names));
        Assert.That(again.ExcludeModules!.Names, Is.EqualTo(config.ExcludeModules!.Names));
        Assert.That(again.LayersToTransform, Is.EqualTo(config.LayersToTransform));
        Assert.That(again.LayersPattern, Is.EqualTo(config.LayersPattern));
        Assert.That(again.RankPattern, Is.EqualTo(config.RankPattern));
        Assert.That(again.AlphaPattern, Is.EqualTo(config.AlphaPattern));
        Assert.That(again.BaseTensorSha256, Is.EqualTo(config.BaseTensorSha256));
        Assert.That((again.PeftType, again.Rank, again.Alpha, again.TopK, again.Dropout, again.UseRsLora, again.BaseModel), Is.EqualTo(("SPECLORA", 2, 3.0, 3, 0.25, true, "base")));
        Assert.That((adapter.Modules[AdapterFiles.Module].TopK, adapter.Modules[AdapterFiles.Module].Scale), Is.EqualTo((3, 3 / Math.Sqrt(2))));
    }

    [Test]
    public void A_lora_config_has_only_keys_that_peft_knows_and_the_values_it_wants()
    {
        AdapterFolder.Write(folder.Path, new AdapterConfig { PeftType = AdapterConfig.Lora, TargetModules = ModulePattern.Of("q_proj"), Rank = 4, Alpha = 8, BaseModel = "b" },
            [.. AdapterFiles.LowRank(AdapterFiles.Module, 4)]);
        JsonObject json = JsonNode.Parse(File.ReadAllText(folder.File("adapter_config.json")))!.AsObject();

        Assert.That(json.Select(pair => pair.Key), Is.SubsetOf(AdapterFiles.PeftConfig().Select(pair => pair.Key)));
        Assert.That(json.Select(pair => pair.Key), Is.Ordered.Using((System.Collections.IComparer)StringComparer.Ordinal));
        Assert.That((json["peft_type"]!.ToString(), json["r"]!.ToJsonString(), json["lora_alpha"]!.ToJsonString(), json["bias"]!.ToString(), json["target_modules"]!.ToJsonString()),
            Is.EqualTo(("LORA", "4", "8", "none", "[\"q_proj\"]")));
        using SafetensorsFile file = SafetensorsFile.Open(folder.File("adapter_model.safetensors"));
        Assert.That(file.Tensors.Keys, Is.EquivalentTo(new[] { $"base_model.model.{AdapterFiles.Module}.lora_A.weight", $"base_model.model.{AdapterFiles.Module}.lora_B.weight" }));
        Assert.That(file.Metadata["format"], Is.EqualTo("pt"));
    }

    [TestCase("use_dora", "true")]
    [TestCase("lora_bias", "true")]
    [TestCase("fan_in_fan_out", "true")]
    [TestCase("bias", "\"all\"")]
    [TestCase("modules_to_save", """["lm_head"]""")]
    [TestCase("layer_replication", "[[0,2]]")]
    [TestCase("target_parameters", """["experts.weight"]""")]
    [TestCase("trainable_token_indices", "[1]")]
    [TestCase("alora_invocation_tokens", "[1]")]
    [TestCase("use_qalora", "true")]
    [TestCase("use_bdlora", """{"nblocks":2}""")]
    [TestCase("arrow_config", """{"top_k":2}""")]
    [TestCase("kasa_config", """{"beta":1}""")]
    [TestCase("monteclora_config", """{"a":1}""")]
    [TestCase("megatron_config", """{"a":1}""")]
    [TestCase("init_lora_weights", "\"pissa_niter_4\"")]
    [TestCase("init_lora_weights", "\"olora\"")]
    [TestCase("init_lora_weights", "\"corda\"")]
    [TestCase("init_lora_weights", "\"loftq\"")]
    [TestCase("init_lora_weights", "\"lora_ga\"")]
    [TestCase("peft_type", "\"VERA\"")]
    [TestCase("peft_type", "null")]
    [TestCase("r", "0")]
    [TestCase("r", "-1")]
    [TestCase("lora_alpha", "\"x\"")]
    [TestCase("lora_dropout", "2")]
    [TestCase("target_modules", "null")]
    [TestCase("target_modules", "[1]")]
    [TestCase("target_modules", "\"(\"")]
    [TestCase("rank_pattern", """{"(":3}""")]
    [TestCase("rank_pattern", """{"q_proj":0}""")]
    [TestCase("alpha_pattern", """{"q_proj":null}""")]
    [TestCase("layers_pattern", "[\"[\"]")]
    [TestCase("layers_to_transform", "[-1]")]
    public void Unsupported_features_and_wrong_values_are_refused_by_name(string key, string value)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config[key] = JsonNode.Parse(value);
        OpenMustSay(config, AdapterFiles.LowRank(AdapterFiles.Module, 2), key, "adapter_config.json");
    }

    [TestCase("init_lora_weights", "\"gaussian\"")]
    [TestCase("init_lora_weights", "false")]
    [TestCase("use_bdlora", "null")]
    [TestCase("modules_to_save", "[]")]
    public void Harmless_values_pass(string key, string value)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config[key] = JsonNode.Parse(value);
        AdapterFiles.Write(folder, config, AdapterFiles.LowRank(AdapterFiles.Module, 2));
        using AdapterFolder adapter = AdapterFolder.Open(folder.Path);
        Assert.That(adapter.Warnings, Is.Empty);
    }

    [Test]
    public void Unknown_keys_ranks_and_modules_give_warnings()
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config["new_feature"] = true;
        AdapterFiles.Write(folder, config, AdapterFiles.LowRank(AdapterFiles.Module, 3).Concat(AdapterFiles.LowRank("model.layers.0.self_attn.k_proj", 2)));
        using AdapterFolder adapter = AdapterFolder.Open(folder.Path);
        Assert.That(adapter.Warnings, Has.Count.EqualTo(3));
        Assert.That(string.Join('\n', adapter.Warnings), Does.Contain("'new_feature'").And.Contain("has rank 3, the config says 2").And.Contain("k_proj' are ignored"));
        Assert.That((adapter.Modules.Count, adapter.Modules[AdapterFiles.Module].Rank, adapter.Modules[AdapterFiles.Module].Scale), Is.EqualTo((1, 3, 8.0)));
    }

    [Test]
    public void Tensors_that_do_not_fit_are_named()
    {
        JsonObject peft = AdapterFiles.PeftConfig();
        TensorToWrite[] good = [.. AdapterFiles.LowRank(AdapterFiles.Module, 2)];
        OpenMustSay(peft, good[..1], AdapterFiles.Module, "lacks");
        OpenMustSay(peft, [good[0], TinyModel.Numbered(good[1].Name, [8, 3])], "lora_B", "[8, 3], expected [out, 2]");
        OpenMustSay(peft, [good[0], TinyModel.Numbered(good[1].Name, [16])], "lora_B", "a matrix");
        OpenMustSay(peft, [good[0], TinyModel.Numbered(good[1].Name, [0, 2])], "lora_B", "a matrix");
        OpenMustSay(peft, [good[0], new TensorToWrite(good[1].Name, StoredType.I32, [8, 2], stream => stream.Write(new byte[64]))], "I32");
        OpenMustSay(peft, [.. good, TinyModel.Numbered("base_model.model.lm_head.weight", [11, 8])], "'base_model.model.lm_head.weight' is not part");
        OpenMustSay(peft, [.. good, TinyModel.Numbered($"{AdapterFiles.Module}.lora_A.weight", [2, 8])], "two tensors lora_A");
        OpenMustSay(peft, [.. good, .. AdapterFiles.Spectral(AdapterFiles.Module, 2)], "spectral tensors", "SPECLORA");
        OpenMustSay(peft, [], "no adapted modules");
        peft["peft_type"] = "SPECLORA";
        OpenMustSay(peft, good, "top_k");
        peft["top_k"] = 2;
        OpenMustSay(peft, good, "spec_U");
        OpenMustSay(peft, AdapterFiles.Spectral(AdapterFiles.Module, 2), "lora_A.weight and lora_B.weight");
        OpenMustSay(peft, [.. good, .. AdapterFiles.Spectral(AdapterFiles.Module, 3)], "spec_S", "expected [2]");
        OpenMustSay(peft, [.. good, .. AdapterFiles.Spectral(AdapterFiles.Module, 2).Where(tensor => !tensor.Name.EndsWith("_U", StringComparison.Ordinal)),
            TinyModel.Numbered(AdapterFolder.KeyOf(AdapterFiles.Module, AdapterFolder.SpectralU), [9, 2])], "spec_U", "expected [8, 2]");
    }

    [Test]
    public void Missing_files_are_named()
    {
        Assert.That(() => AdapterFolder.Open(folder.File("none")), Throws.TypeOf<InputException>().With.Message.Contains("no such folder"));
        OpenMustSay("adapter_config.json", "no such file");
        folder.Write("adapter_config.json", AdapterFiles.PeftConfig().ToJsonString());
        OpenMustSay("expected adapter_model.safetensors");
        folder.Write("adapter_model.bin", "x");
        OpenMustSay("pickled");
    }

    [Test]
    public void The_adapter_of_another_model_is_refused()
    {
        TinyModel.Write(folder);
        using ModelFolder model = ModelFolder.Open(folder.Path);
        using TemporaryFolder adapters = new();
        AdapterConfig config = AdapterFiles.SpecLora(rank: 0, topK: 2) with { TargetModules = ModulePattern.Of(AdapterFiles.Module) };
        string tensor = AdapterFiles.Module + ".weight";

        void Check(AdapterConfig changed, string? says)
        {
            AdapterFolder.Write(adapters.Path, changed, [.. AdapterFiles.Spectral(AdapterFiles.Module, 2)]);
            using AdapterFolder adapter = AdapterFolder.Open(adapters.Path);
            Assert.That(() => adapter.CheckFits(model), says is null ? Throws.Nothing : Throws.TypeOf<InputException>().With.Message.Contains(says));
        }

        Check(config with { BaseTensorSha256 = new Dictionary<string, string> { [tensor] = model.Sha256(tensor) } }, null);
        Check(config with { BaseTensorSha256 = new Dictionary<string, string> { [tensor] = new string('0', 64) } }, tensor);
        Check(config with { TargetModules = ModulePattern.Of("q_proj") }, "no tensors for model.layers.1.self_attn.q_proj");
        AdapterFolder.Write(adapters.Path, config with { TargetModules = ModulePattern.Of("up_proj") }, [.. AdapterFiles.Spectral("model.layers.7.mlp.up_proj", 2)]);
        using (AdapterFolder adapter = AdapterFolder.Open(adapters.Path))
            Assert.That(() => adapter.CheckFits(ModelTensors.Linears(model.Config).Where(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal))),
                Throws.TypeOf<InputException>().With.Message.Contains("layers.7.mlp.up_proj', which is no linear layer"));
        AdapterFolder.Write(adapters.Path, config with { TargetModules = ModulePattern.Of("model.layers.0.mlp.up_proj") }, [.. AdapterFiles.Spectral("model.layers.0.mlp.up_proj", 2)]);
        using (AdapterFolder adapter = AdapterFolder.Open(adapters.Path))
            Assert.That(() => adapter.CheckFits(model), Throws.TypeOf<InputException>().With.Message.Contains("weight [8, 8], the model has [12, 8]"));
    }
}
