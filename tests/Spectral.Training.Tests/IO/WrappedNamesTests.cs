using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.IO;

/// <summary>
/// Names as they are saved from wrapped models: torch.compile's <c>_orig_mod</c>, DistributedDataParallel's
/// <c>module</c>, FSDP's and activation checkpointing's, PEFT's prefix twice, <c>model.</c> twice or not at all.
/// </summary>
public sealed class WrappedNamesTests : FolderTest
{
    private const string Plain = "model.layers.0.self_attn.q_proj.weight";

    private static readonly string[] Modules = [AdapterFiles.Module, AdapterFiles.Other];

    [TestCase(Plain)]
    [TestCase("_orig_mod." + Plain)]
    [TestCase("module." + Plain)]
    [TestCase("module._orig_mod.module." + Plain)]
    [TestCase("_fsdp_wrapped_module.model.layers.0._checkpoint_wrapped_module.self_attn.q_proj.weight")]
    [TestCase("model.layers.0._orig_mod.self_attn.q_proj.weight")]
    [TestCase("base_model.model." + Plain)]
    [TestCase("module.base_model.model.base_model.model." + Plain)]
    [TestCase("base_model.model.module." + Plain)]
    [TestCase("model.model." + Plain)]
    public void WrappersAreTakenOff(string name) => Assert.That(WrappedNames.Unwrap(name), Is.EqualTo(Plain));

    [TestCase("base_model.vera_A")]
    [TestCase("decoder.module.weight")]
    [TestCase("my_orig_mod.weight")]
    [TestCase("model.language_model.model.weight")]
    public void OtherNamesStay(string name) => Assert.That(WrappedNames.Unwrap(name), Is.EqualTo(name));

    [TestCase("_orig_mod.{0}")]
    [TestCase("module.base_model.model.{0}")]
    [TestCase("model.{0}")]
    public void AModelOfWrappedNamesIsTheModel(string format)
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        List<TensorToWrite> tensors = TinyModel.Tensors(config);
        Write(tensors, name => string.Format(format, name));
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(model.TensorNames, Is.EquivalentTo(tensors.Select(tensor => tensor.Name)));
        Assert.That(model.Warnings, Is.Empty);
    }

    /// <summary>LlamaModel's own names, beside LlamaForCausalLM's head.</summary>
    [Test]
    public void AModelWithoutItsPrefixIsTheModel()
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        List<TensorToWrite> tensors = TinyModel.Tensors(config);
        Write(tensors, name => name.StartsWith("model.", StringComparison.Ordinal) ? name[6..] : name);
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(model.TensorNames, Is.EquivalentTo(tensors.Select(tensor => tensor.Name)));
    }

    [Test]
    public void TwoTensorsOfOneNameAreRefused()
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        List<TensorToWrite> tensors = TinyModel.Tensors(config);
        tensors.Add(tensors[0] with { Name = "_orig_mod." + tensors[0].Name });
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        Assert.That(
            () => ModelFolder.Open(folder.Path),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains($"'{tensors[0].Name}'")
                .And.Message.Contains($"'_orig_mod.{tensors[0].Name}'")
        );
    }

    [TestCase("_orig_mod.base_model.model.{0}.{1}.weight")]
    [TestCase("module.base_model.model.base_model.model.{0}.{1}.default.weight")]
    [TestCase("base_model.model._fsdp_wrapped_module.{0}.{1}.my-adapter.weight")]
    [TestCase("base_model.model.model.{0}.{1}.weight")]
    public void AnAdapterOfWrappedNamesIsOneOfTheLayers(string format)
    {
        WriteAdapter(AdapterFiles.PeftConfig(), format);
        using AdapterReader reader = new(folder.Path);
        Assert.That(reader.Modules.Select(module => module.Shape.Name), Is.EquivalentTo(Modules));
        Assert.That(reader.Warnings, Is.Empty);
    }

    /// <summary>
    /// As PEFT names what it trained on a model without a head: with the model at hand it is clear which layers are
    /// meant.
    /// </summary>
    [Test]
    public void AnAdapterOfAModelWithoutItsHeadIsOneOfTheLayers()
    {
        const string Format = "base_model.{0}.{1}.weight"; // base_model.model.layers…, with one "model." too few
        JsonObject config = AdapterFiles.PeftConfig();
        config["target_modules"] = new JsonArray("layers.0.self_attn.q_proj", "layers.1.mlp.down_proj");
        WriteAdapter(config, Format);
        using AdapterReader reader = new(folder.Path, TinyModel.WriteConfig(folder));
        Assert.That(reader.Modules.Select(module => module.Shape.Name), Is.EquivalentTo(Modules));
    }

    [Test]
    public void TwoAdaptersInOneFileAreRefused()
    {
        AdapterFiles.Write(
            folder,
            AdapterFiles.PeftConfig(),
            AdapterFiles
                .LowRank(AdapterFiles.Module, 2)
                .Concat(
                    AdapterFiles.LowRank(AdapterFiles.Module, 2, format: "_orig_mod.base_model.model.{0}.{1}.weight")
                )
        );
        Assert.That(
            () => new AdapterReader(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("two tensors lora_A.weight")
        );
    }

    private void Write(List<TensorToWrite> tensors, Func<string, string> rename) =>
        SafetensorsWriter.Write(
            folder.File("model.safetensors"),
            [.. tensors.Select(tensor => tensor with { Name = rename(tensor.Name) })]
        );

    private void WriteAdapter(JsonObject config, string format) =>
        AdapterFiles.Write(
            folder,
            config,
            Modules.SelectMany(module => AdapterFiles.LowRank(module, 2, format: format))
        );
}
