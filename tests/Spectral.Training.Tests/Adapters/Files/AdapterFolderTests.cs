using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

public sealed class AdapterFolderTests : FolderTest
{
    private void OpenMustSay(params string[] says)
    {
        InputException error = Assert.Throws<InputException>(() => new AdapterReader(folder.Path).Dispose())!;
        foreach (string text in says.Append(folder.Path))
            Assert.That(error.Message, Does.Contain(text));
    }

    private void OpenMustSay(JsonObject config, IEnumerable<TensorToWrite> tensors, params string[] says)
    {
        AdapterFiles.Write(folder, config, tensors);
        OpenMustSay(says);
    }

    [Test]
    public void PeftFoldersAreRead(
        [Values(
            "base_model.model.{0}.{1}.weight",
            "{0}.{1}.weight",
            "base_model.model.{0}.{1}.default.weight",
            "{0}.{1}.my-adapter.weight"
        )]
            string format,
        [Values(StoredType.F32, StoredType.F16, StoredType.BF16)] StoredType type
    )
    {
        AdapterFiles.Write(
            folder,
            AdapterFiles.PeftConfig(),
            AdapterFiles
                .LowRank(AdapterFiles.Module, 2, type, format)
                .Concat(AdapterFiles.LowRank(AdapterFiles.Other, 2, type, format))
        );

        using AdapterReader adapter = new(folder.Path);

        Assert.That(adapter.Warnings, Is.Empty);
        Assert.That(
            (adapter.Method.Name, adapter.Options.Rank, adapter.Options.Alpha, adapter.Options.Dropout),
            Is.EqualTo(("lora", 2, 16.0, 0.1))
        );
        Assert.That(
            adapter.Modules.Select(module => module.Shape),
            Is.EqualTo(new ModuleShape[] { new(AdapterFiles.Module, 8, 8), new(AdapterFiles.Other, 8, 12) })
        );
        Assert.That(adapter.Modules[1].Options.Scale, Is.EqualTo(8.0));
    }

    [Test]
    public void WhatIsWrittenIsReadBack()
    {
        AdapterConfig config = AdapterFiles.SpecLora(rank: 2, topK: 3) with
        {
            Options = new AdapterOptions
            {
                Rank = 2,
                Alpha = 3,
                TopK = 3,
                Dropout = 0.25,
                RankStabilized = true,
                RankPattern = [new("down_proj", 4)],
                AlphaPattern = [new("down_proj", 1.5)],
            },
            ExcludeModules = ModulePattern.Of("k_proj"),
            LayersToTransform = [0, 1],
            LayersPattern = ["layers"],
            BaseTensorSha256 = new Dictionary<string, string> { ["model.norm.weight"] = "00ff" },
        };
        AdapterFolder.Write(
            folder.Path,
            config,
            [.. AdapterFiles.Spectral(AdapterFiles.Module, 3), .. AdapterFiles.LowRank(AdapterFiles.Module, 2)]
        );

        using var adapter = AdapterFolder.Open(folder.Path);

        (AdapterConfig again, AdapterOptions options) = (adapter.Config, adapter.Config.Options);
        Assert.That(adapter.Warnings, Is.Empty);
        Assert.That(again.TargetModules.Names, Is.EqualTo(config.TargetModules.Names));
        Assert.That(again.ExcludeModules!.Names, Is.EqualTo(config.ExcludeModules!.Names));
        Assert.That(again.LayersToTransform, Is.EqualTo(config.LayersToTransform));
        Assert.That(again.LayersPattern, Is.EqualTo(config.LayersPattern));
        Assert.That(options.RankPattern, Is.EqualTo(config.Options.RankPattern));
        Assert.That(options.AlphaPattern, Is.EqualTo(config.Options.AlphaPattern));
        Assert.That(again.BaseTensorSha256, Is.EqualTo(config.BaseTensorSha256));
        Assert.That(
            (
                again.Method.Name,
                options.Rank,
                options.Alpha,
                options.TopK,
                options.Dropout,
                options.RankStabilized,
                again.BaseModel
            ),
            Is.EqualTo(("speclora", 2, 3.0, 3, 0.25, true, "base"))
        );
    }

    // The fields of PEFT 0.5's LoraConfig and of what it inherits from.
    private static readonly string[] KeysOfPeft05 =
    [
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "modules_to_save",
        "peft_type",
        "r",
        "revision",
        "target_modules",
        "task_type",
    ];

    [Test]
    public void ALoraConfigHasOnlyKeysThatPeftKnowsAndTheValuesItWants()
    {
        AdapterFolder.Write(
            folder.Path,
            AdapterFiles.Config("lora", new AdapterOptions { Rank = 4, Alpha = 8 }, "q_proj"),
            [.. AdapterFiles.LowRank(AdapterFiles.Module, 4)]
        );
        JsonObject json = JsonNode.Parse(File.ReadAllText(folder.File("adapter_config.json")))!.AsObject();

        Assert.That(
            json.Select(pair => pair.Key),
            Is.SubsetOf(KeysOfPeft05),
            "PEFT up to 0.13 refuses a key that it does not know"
        );
        Assert.That(
            json.Select(pair => pair.Key),
            Is.Ordered.Using((System.Collections.IComparer)StringComparer.Ordinal)
        );
        Assert.That(
            (
                json["peft_type"]!.ToString(),
                json["r"]!.ToJsonString(),
                json["lora_alpha"]!.ToJsonString(),
                json["bias"]!.ToString(),
                json["target_modules"]!.ToJsonString()
            ),
            Is.EqualTo(("LORA", "4", "8", "none", "[\"q_proj\"]"))
        );
        using var file = SafetensorsFile.Open(folder.File("adapter_model.safetensors"));
        Assert.That(
            file.Tensors.Keys,
            Is.EquivalentTo(
                new[]
                {
                    $"base_model.model.{AdapterFiles.Module}.lora_A.weight",
                    $"base_model.model.{AdapterFiles.Module}.lora_B.weight",
                }
            )
        );
        Assert.That(file.Metadata["format"], Is.EqualTo("pt"));
        Assert.That(file.Metadata["spectral.method"], Is.EqualTo("lora"));
    }

    [TestCase("bias", "\"some\"")]
    [TestCase("layer_replication", "[[0,2]]")]
    [TestCase("target_parameters", """["experts.weight"]""")]
    [TestCase("alora_invocation_tokens", "\"x\"")]
    [TestCase("arrow_config", """{"top_k":2}""")]
    [TestCase("init_lora_weights", "\"start of tomorrow\"")]
    [TestCase("init_lora_weights", "\"corda\"")]
    [TestCase("init_lora_weights", "\"loftq\"")]
    [TestCase("peft_type", "\"ADAPTION_PROMPT\"")]
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
    public void UnsupportedFeaturesAndWrongValuesAreRefusedByName(string key, string value)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config[key] = JsonNode.Parse(value);
        OpenMustSay(config, AdapterFiles.LowRank(AdapterFiles.Module, 2), key, "adapter_config.json");
    }

    [TestCase("init_lora_weights", "\"gaussian\"")]
    [TestCase("init_lora_weights", "false")]
    [TestCase("modules_to_save", "[]")]
    public void HarmlessValuesPass(string key, string value)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config[key] = JsonNode.Parse(value);
        AdapterFiles.Write(folder, config, AdapterFiles.LowRank(AdapterFiles.Module, 2));
        using AdapterReader adapter = new(folder.Path);
        Assert.That(adapter.Warnings, Is.Empty);
    }

    [Test]
    public void UnknownKeysRanksAndModulesGiveWarnings()
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config["new_feature"] = true;
        AdapterFiles.Write(
            folder,
            config,
            AdapterFiles
                .LowRank(AdapterFiles.Module, 3)
                .Concat(AdapterFiles.LowRank("model.layers.0.self_attn.k_proj", 2))
        );
        using AdapterReader adapter = new(folder.Path);
        Assert.That(adapter.Warnings, Has.Count.EqualTo(3));
        Assert.That(
            string.Join('\n', adapter.Warnings),
            Does.Contain("'new_feature'")
                .And.Contain("has rank 3, the config says 2")
                .And.Contain("k_proj' are ignored")
        );
        Assert.That(
            (adapter.Modules.Count, adapter.Modules[0].Form.Rank, adapter.Modules[0].Options.Scale),
            Is.EqualTo((1, 3, 8.0))
        );
    }

    [Test]
    public void TensorsThatDoNotFitAreNamed()
    {
        JsonObject peft = AdapterFiles.PeftConfig();
        peft["target_modules"] = new JsonArray("q_proj");
        using TemporaryFolder models = new();
        TinyModel.Write(models);
        var model = ModelConfig.Load(models.Path);
        TensorToWrite[] good =
        [
            .. AdapterFiles.LowRank(AdapterFiles.Module, 2),
            .. AdapterFiles.LowRank("model.layers.1.self_attn.q_proj", 2),
        ];
        void Say(IEnumerable<TensorToWrite> tensors, params string[] says)
        {
            AdapterFiles.Write(folder, peft, tensors);
            InputException error = Assert.Throws<InputException>(() =>
                new AdapterReader(folder.Path, model).Dispose()
            )!;
            foreach (string text in says.Append(folder.Path))
                Assert.That(error.Message, Does.Contain(text));
        }

        Say([.. good[2..], good[0]], AdapterFiles.Module, "lacks", "lora_B.weight [8, 2]");
        Say([good[0], TinyModel.Numbered(good[1].Name, [8, 3]), .. good[2..]], "lora_B", "[8, 3], expected [8, 2]");
        Say([good[0], TinyModel.Numbered(good[1].Name, [16]), .. good[2..]], "lora_B", "[16], expected [8, 2]");
        Say([good[0], TinyModel.Numbered(good[1].Name, [0, 2]), .. good[2..]], "lora_B", "[0, 2]");
        Say([TinyModel.Numbered(good[0].Name, [0, 8]), .. good[1..]], "lora_A", "[0, 8]");
        Say(
            [
                good[0],
                new TensorToWrite(good[1].Name, StoredType.I32, [8, 2], stream => stream.Write(new byte[64])),
                .. good[2..],
            ],
            "I32"
        );
        Say(
            [.. good, TinyModel.Numbered("base_model.model.model.norm.weight", [8])],
            "'base_model.model.model.norm.weight' is not part",
            "lora_A.weight, lora_B.weight",
            "modules_to_save"
        );
        Say([.. good, TinyModel.Numbered($"{AdapterFiles.Module}.lora_A.weight", [2, 8])], "two tensors lora_A");
        Say([.. good, .. AdapterFiles.Spectral(AdapterFiles.Module, 2)], "spec_", "not part of a lora adapter");
        Say([], "no adapted modules");
        Say(
            [.. good, .. AdapterFiles.LowRank("model.layers.7.self_attn.q_proj", 2)],
            "layers.7.self_attn.q_proj', which is no layer of the model"
        );
        peft["peft_type"] = "SPECLORA";
        Say(good, "top_k");
        peft["top_k"] = 2;
        Say(good, "spec_U");
        TensorToWrite[] other = [.. good[2..], .. AdapterFiles.Spectral("model.layers.1.self_attn.q_proj", 2)];
        Say([.. other, .. AdapterFiles.Spectral(AdapterFiles.Module, 2)], "lacks a tensor, expected lora_B.weight");
        Say([.. other, .. good[..2], .. AdapterFiles.Spectral(AdapterFiles.Module, 3)], "spec_U", "expected [8, 2]");
        AdapterFolder.Write(
            folder.Path,
            AdapterFiles.Config("lora", new AdapterOptions { Rank = 2 }, "up_proj"),
            [
                .. AdapterFiles.LowRank("model.layers.0.mlp.up_proj", 2),
                .. AdapterFiles.LowRank("model.layers.1.mlp.up_proj", 2),
            ]
        );
        Assert.That(
            () => new AdapterReader(folder.Path, model).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains("[8, 2], expected [12, 2] for a weight [12, 8]")
        );
    }

    [Test]
    public void TheMethodInTheWeightsMustBeKnownAndOfTheType()
    {
        AdapterFiles.Write(folder, AdapterFiles.PeftConfig());
        void Name(string method) =>
            SafetensorsWriter.Write(
                folder.File("adapter_model.safetensors"),
                [.. AdapterFiles.LowRank(AdapterFiles.Module, 2)],
                new Dictionary<string, string> { ["spectral.method"] = method }
            );
        Name("lora-of-tomorrow");
        OpenMustSay("'lora-of-tomorrow'", "not known");
        Name("speclora");
        OpenMustSay("peft_type", "SPECLORA");
        Name("lora");
        Assert.That(() => new AdapterReader(folder.Path).Dispose(), Throws.Nothing);
    }

    [Test]
    public void MissingFilesAreNamed()
    {
        Assert.That(
            () => AdapterFolder.Open(folder.File("none")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such folder")
        );
        OpenMustSay("adapter_config.json", "no such file");
        folder.Write("adapter_config.json", AdapterFiles.PeftConfig().ToJsonString());
        OpenMustSay("expected adapter_model.safetensors");
        folder.Write("adapter_model.bin", "x");
        OpenMustSay("pickled");
    }

    [Test]
    public void TheAdapterOfAnotherModelIsRefused()
    {
        TinyModel.Write(folder);
        using var model = ModelFolder.Open(folder.Path);
        using TemporaryFolder adapters = new();
        AdapterConfig config = AdapterFiles.SpecLora(rank: 0, topK: 2) with
        {
            TargetModules = ModulePattern.Of(AdapterFiles.Module),
        };
        string tensor = AdapterFiles.Module + ".weight";

        void Check(AdapterConfig changed, string? says)
        {
            AdapterFolder.Write(adapters.Path, changed, [.. AdapterFiles.Spectral(AdapterFiles.Module, 2)]);
            using var adapter = AdapterFolder.Open(adapters.Path);
            Assert.That(
                () => adapter.CheckFits(model),
                says is null ? Throws.Nothing : Throws.TypeOf<InputException>().With.Message.Contains(says)
            );
        }

        Check(
            config with
            {
                BaseTensorSha256 = new Dictionary<string, string> { [tensor] = model.Sha256(tensor) },
            },
            null
        );
        Check(
            config with
            {
                BaseTensorSha256 = new Dictionary<string, string> { [tensor] = new string('0', 64) },
            },
            tensor
        );
    }
}
