using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// The names under which whole modules stand in adapter files. Those of PEFT are read off its
/// get_peft_model_state_dict: from 0.4 on
/// <c>modules_to_save.</c> and the adapter's name are taken out; a state dict saved by other means has both, and the
/// original beside.
/// </summary>
public sealed class SavedTensorsTests
{
    private TemporaryFolder _model = null!;
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void WriteModel()
    {
        (_model, _folder) = (new TemporaryFolder(), new TemporaryFolder());
        TinyModel.Write(_model);
    }

    [TearDown]
    public void Clear()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [TestCase("base_model.model.lm_head.weight")]
    [TestCase("base_model.model.lm_head.modules_to_save.weight")]
    [TestCase("base_model.model.lm_head.modules_to_save.default.weight")]
    [TestCase("base_model.model.lm_head.modules_to_save.my_adapter.weight")]
    [TestCase("lm_head.weight")]
    [TestCase("base_model.model._orig_mod.lm_head.modules_to_save.default.weight")]
    [TestCase("_fsdp_wrapped_module.base_model.model.lm_head._fsdp_wrapped_module.modules_to_save.weight")]
    public void EverySpellingOfASavedHeadIsRead(string name)
    {
        TensorToWrite original = TinyModel.Numbered("base_model.model.lm_head.original_module.weight", [11, 8], 8);
        Write(["lm_head"], TinyModel.Numbered(name, [11, 8], 7), original);
        using var opened = ModelFolder.Open(_model.Path);
        using AdapterReader adapter = new(_folder.Path, opened);
        Assert.That(adapter.Warnings, Is.Empty);
        Assert.That(
            adapter.Saved.Select(saved => (saved.Name, saved.Trains)),
            Is.EqualTo(new[] { ("lm_head.weight", true) })
        );
        Assert.That(adapter.Stored(adapter.Saved[0]).Name, Is.EqualTo(name));
    }

    [Test]
    public void AnEntryIsTheEndOfANameAndMeansAllThatIsInTheModule()
    {
        string[] norms =
        [
            "layers.0.input_layernorm",
            "layers.0.post_attention_layernorm",
            "layers.1.input_layernorm",
            "layers.1.post_attention_layernorm",
            "norm",
        ];
        Write(
            ["layers.1.mlp", "norm"],
            [
                TinyModel.Numbered("base_model.model.model.layers.1.mlp.gate_proj.weight", [12, 8]),
                TinyModel.Numbered("base_model.model.model.layers.1.mlp.up_proj.weight", [12, 8]),
                TinyModel.Numbered(
                    "base_model.model.model.layers.1.mlp.modules_to_save.default.down_proj.weight",
                    [8, 12]
                ),
                .. norms.Select(name => TinyModel.Numbered($"base_model.model.model.{name}.weight", [8])),
            ]
        );
        using var opened = ModelFolder.Open(_model.Path);
        using AdapterReader adapter = new(_folder.Path, opened);
        Assert.That(adapter.Saved, Has.Count.EqualTo(8));
        string[] adapted =
        [
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.mlp.down_proj",
            "model.layers.1.self_attn.q_proj",
        ];
        Assert.That(adapter.Modules.Select(module => module.Shape.Name), Is.EqualTo(adapted));
    }

    /// <summary>
    /// PEFT stores embeddings beside factors when it takes them for resized; equal to the base's they say nothing.
    /// </summary>
    [Test]
    public void EmbeddingsThatNobodyTrainedStandInForTheBasesWhereTheyDiffer()
    {
        using var opened = ModelFolder.Open(_model.Path);
        float[] embedding = opened["model.embed_tokens.weight"].ToFloats();
        const string Name = "base_model.model.model.embed_tokens.weight";
        var same = TensorToWrite.Floats(Name, StoredType.F32, [11, 8], () => embedding);
        Write([], same, TinyModel.Numbered("base_model.model.lm_head.weight", [11, 8], 7));
        using AdapterReader adapter = new(_folder.Path, opened);
        Assert.That(
            adapter.Saved.Select(saved => (saved.Name, saved.Trains)),
            Is.EqualTo(new[] { ("lm_head.weight", false) })
        );
    }

    [Test]
    public void AMissingTensorAnotherShapeAndAResizedVocabularyAreRefusedByName()
    {
        MustSay(["lm_head"], "lacks a tensor of modules_to_save, expected lm_head.weight [11, 8]");
        MustSay(
            ["lm_head"],
            "is [11, 7], expected [11, 8]",
            TinyModel.Numbered("base_model.model.lm_head.weight", [11, 7])
        );
        MustSay(
            ["lm_head"],
            "expected a base model of 13 tokens",
            TinyModel.Numbered("base_model.model.lm_head.weight", [13, 8])
        );
        MustSay(
            ["lm_head"],
            "two tensors of lm_head.weight",
            TinyModel.Numbered("base_model.model.lm_head.weight", [11, 8]),
            TinyModel.Numbered("base_model.model.lm_head.modules_to_save.default.weight", [11, 8])
        );
        MustSay(
            ["score"],
            "'base_model.model.score.weight' is not part",
            TinyModel.Numbered("base_model.model.score.weight", [2, 8])
        );
    }

    [Test]
    public void AnEntryThatMeansNothingGivesAWarning()
    {
        Write(["classifier"]);
        using AdapterReader adapter = new(_folder.Path, ModelConfig.Load(_model.Path));
        string warning = $"{_folder.Path}: modules_to_save has 'classifier', which means no module of the model";
        Assert.That(adapter.Warnings, Is.EqualTo(new[] { warning }));
    }

    [Test]
    public void ExportKeepsThemWithoutAModel()
    {
        Write(
            ["lm_head", "down_proj"],
            [
                TinyModel.Numbered("base_model.model.lm_head.modules_to_save.default.weight", [11, 8], 7),
                TinyModel.Numbered("base_model.model.model.layers.0.mlp.down_proj.weight", [8, 12]),
                TinyModel.Numbered("base_model.model.model.layers.1.mlp.down_proj.weight", [8, 12]),
            ]
        );
        using TemporaryFolder exported = new();
        using (var device = Spectral.Kernels.Device.Cpu())
            LoraExporter.Export(_folder.Path, exported.Path, device);
        using AdapterReader adapter = new(exported.Path, ModelConfig.Load(_model.Path));
        Assert.That(adapter.Options.ModulesToSave, Is.EqualTo(new[] { "lm_head", "down_proj" }));
        Assert.That(
            adapter.Saved.Select(saved => adapter.Stored(saved).Name),
            Is.EqualTo(
                new[]
                {
                    "base_model.model.model.layers.0.mlp.down_proj.weight",
                    "base_model.model.model.layers.1.mlp.down_proj.weight",
                    "base_model.model.lm_head.weight",
                }
            )
        );
    }

    private void MustSay(string[] modules, string text, params TensorToWrite[] saved)
    {
        Write(modules, saved);
        using var opened = ModelFolder.Open(_model.Path);
        Assert.That(
            () => new AdapterReader(_folder.Path, opened),
            Throws.TypeOf<InputException>().With.Message.Contains(text)
        );
    }

    /// <summary>LoRA of q_proj, and of down_proj where that is not saved whole.</summary>
    private void Write(string[] modules, params TensorToWrite[] saved)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config["modules_to_save"] = new JsonArray([.. modules.Select(name => (JsonNode)name)]);
        IEnumerable<string> layers = Enumerable
            .Range(0, 2)
            .Select(layer => $"model.layers.{layer}.")
            .SelectMany(layer => new[] { layer + "self_attn.q_proj", layer + "mlp.down_proj" })
            .Where(layer => !modules.Any(module => layer.Contains(module, StringComparison.Ordinal)));
        AdapterFiles.Write(_folder, config, [.. layers.SelectMany(layer => AdapterFiles.LowRank(layer, 2)), .. saved]);
    }
}
