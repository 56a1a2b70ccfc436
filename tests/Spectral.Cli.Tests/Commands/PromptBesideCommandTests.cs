using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Soft prompts beside adapters of layers end to end, and TAP-SLF, which is one by name.</summary>
public sealed class PromptBesideCommandTests : WorkFolder
{
    [TestCase("lora", "prefix-tuning")] // as MAM
    [TestCase("parallel", "prefix-tuning")]
    [TestCase("shira", "prompt-tuning")]
    [TestCase("dora", "p-tuning")]
    public void BothAreTrainedSavedEvaluatedAndTrainedOn(string adapter, string prompt)
    {
        string[] own = ["--adapter", adapter, "--soft-prompt", prompt, "--set", "soft-prompt.virtual-tokens=5"];
        JsonElement result = CommandLine
            .Run(Finetune([.. own, "--rank", "2", "--steps", "12", "--lr", "0.02", "--eval", Data, "--json"]))
            .Succeeded()
            .Json;
        double loss = result.GetProperty("eval_loss").GetDouble();
        Assert.That(loss, Is.LessThan(0.99 * result.GetProperty("eval_loss_before").GetDouble()));
        string[] saved = ["--model", Model, "--adapter", Out, "--device", "cpu", "--json"];
        JsonElement scored = CommandLine.Run(["eval", .. saved, "--data", Data]).Succeeded().Json;
        Assert.That(scored.GetProperty("loss").GetDouble(), Is.EqualTo(loss).Within(1e-6));
        CommandLine.Run(["generate", .. saved, "--prompt", "ab", "--max-tokens", "6"]).Succeeded();

        string[] next = Finetune("--init-adapter", Out, "--out", At("next"), "--eval", Data, "--lr", "1e-3", "--json");
        double before = CommandLine.Run(next).Succeeded().Json.GetProperty("eval_loss_before").GetDouble();
        Assert.That(before, Is.EqualTo(loss).Within(1e-6));
        Assert.That(
            File.ReadAllText(Path.Combine(Out, "report.html")),
            Does.Contain("soft-prompt.virtual-tokens").And.Contain(prompt)
        );
    }

    [Test]
    public void MergedLayersAndThePromptByItselfScoreAsBothTogether()
    {
        string[] own = ["--adapter", "tap-slf", "--rank", "2", "--set", "virtual-tokens=3", "--set", "layers=1"];
        JsonElement result = CommandLine
            .Run(Finetune([.. own, "--steps", "12", "--lr", "0.02", "--eval", Data, "--json"]))
            .Succeeded()
            .Json;
        double loss = result.GetProperty("eval_loss").GetDouble();
        string[] device = ["--device", "cpu"];
        Outcome merged = CommandLine
            .Run(["merge", "--model", Model, "--adapter", Out, "--out", At("merged"), .. device])
            .Succeeded();
        Assert.That(merged.Error, Does.Contain("the soft prompt beside the layers (prompt-tuning) is no change of"));
        Outcome exported = CommandLine
            .Run(["export", "--adapter", Out, "--out", At("lora"), "--format", "peft-lora", .. device])
            .Succeeded();
        Assert.That(exported.Error, Does.Contain("is left out"));
        CommandLine
            .Run(["export", "--adapter", Out, "--out", At("prompt"), "--format", "soft-prompt", .. device])
            .Succeeded();
        foreach ((string model, string adapter) in new[] { (At("merged"), At("prompt")), (Model, Out) })
        {
            JsonElement scored = CommandLine
                .Run(["eval", "--model", model, "--adapter", adapter, "--data", Data, .. device, "--json"])
                .Succeeded()
                .Json;
            Assert.That(scored.GetProperty("loss").GetDouble(), Is.EqualTo(loss).Within(1e-5), adapter);
        }

        Refused(
            ["export", "--adapter", At("lora"), "--out", At("none"), "--format", "soft-prompt", .. device],
            "lora without a soft prompt beside its layers"
        );
    }

    [Test]
    public void ARunThatIsBrokenOffEndsAsOneThatIsNot()
    {
        string[] own = ["--adapter", "tap-slf", "--rank", "2", "--set", "virtual-tokens=3", "--schedule", "constant"];
        CommandLine.Run(Finetune([.. own, "--steps", "4", "--out", At("whole")])).Succeeded();
        CommandLine.Run(Finetune([.. own, "--steps", "2"])).Succeeded();
        CommandLine.Run(Finetune([.. own, "--steps", "4", "--resume"])).Succeeded();
        Assert.That(
            File.ReadAllBytes(Path.Combine(Out, "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(At("whole"), "adapter_model.safetensors")))
        );
    }

    [Test]
    public void WhatMakesNoSenseIsRefused()
    {
        Refused(Finetune("--adapter", "lora", "--soft-prompt", "lora"), "--soft-prompt \"lora\": expected", "none");
        Refused(
            Finetune("--adapter", "tap-slf", "--soft-prompt", "p-tuning"),
            "tap-slf has a prompt of its own (prompt-tuning), expected no --soft-prompt"
        );
        Refused(
            Finetune("--adapter", "prompt-tuning", "--soft-prompt", "p-tuning"),
            "soft prompt p-tuning: prompt-tuning trains virtual tokens and changes no layer"
        );
        Refused(
            Finetune("--adapter", "lora", "--set", "soft-prompt.virtual-tokens=5"),
            "--set \"soft-prompt.virtual-tokens=5\": expected --soft-prompt with it"
        );
        Refused(
            Finetune("--adapter", "lora", "--soft-prompt", "p-tuning", "--set", "soft-prompt.length=5"),
            "expected one of the settings of p-tuning: virtual-tokens, encoder, encoder-hidden"
        );
        Refused(Finetune("--adapter", "tap-slf", "--set", "layers=9"), "layers=9: the targets lie in 2 layers");
        Refused(Finetune("--adapter", "lora", "--soft-prompt", "p-tuning", "--packing"), "20 virtual tokens before");
    }
}
