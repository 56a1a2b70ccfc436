using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Options;

/// <summary>
/// Tests that options that would change nothing, match nothing or be lost are refused by name, before anything is
/// written.
/// </summary>
public sealed class UnusedOptionTests : WorkFolder
{
    [TestCase("bitfit", "--rank", "4")]
    [TestCase("bitfit", "--rank-pattern", "q_proj=4")]
    [TestCase("vera", "--alpha", "8")]
    [TestCase("vera", "--alpha-pattern", "q_proj=8")]
    [TestCase("lora", "--top-k", "4")]
    [TestCase("ssl", "--dropout", "0.1")]
    [TestCase("ssl", "--lr-ratio", "16")]
    [TestCase("lora", "--calibration-records", "8")]
    [TestCase("lora", "--bias", "lora_only")]
    [TestCase("lora", "--svd", "exact")]
    [TestCase("kasa", "--svd", "randomized")]
    public void WhatAMethodHasNoUseForIsRefused(string method, string option, string value) =>
        Refused(Finetune("--adapter", method, option, value), $"{option} \"{value}\"", method, "change nothing");

    [Test]
    public void WhatFilesHaveNoPlaceForIsRefused()
    {
        Refused(Finetune("--adapter", "gralora", "--rslora"), "--rslora", "gralora", "GRALORA");
        Refused(Finetune("--adapter", "miss", "--rank-pattern", "q_proj=4"), "--rank-pattern", "miss", "MISS");
        Refused(Finetune("--adapter", "ia3", "--train-tokens", "5"), "--train-tokens", "ia3", "IA3");
    }

    [Test]
    public void WhatMatchesNoLayerIsRefused()
    {
        Refused(Finetune("--adapter", "lora", "--rank-pattern", "q_prj=4"), "rank pattern 'q_prj'", "q_proj, k_proj");
        Refused(Finetune("--adapter", "lora", "--alpha-pattern", "q_proj=4,k_prj=8"), "alpha pattern 'k_prj'");
    }

    /// <summary>An option applies to the methods that use and keep it; it is refused if there is none.</summary>
    [Test]
    public void OfSeveralMethodsOneHasToUseAnOption()
    {
        string[] once = ["--steps", "1", "--seeds", "1", "--device", "cpu", "--json"];
        string[] compare = ["compare", "--model", Model, "--data", Data, "--eval", Data, "--out", Out, .. once];
        Refused([.. compare, "--methods", "bitfit,ssl", "--top-k", "4"], "--top-k \"4\"", "each of these methods");
        Outcome outcome = CommandLine.Run([.. compare, "--methods", "lora,gralora,ssl", "--rslora"]).Succeeded();
        Assert.That(outcome.Error, Does.Contain("warning: gralora is trained without --rslora"));
        Assert.That(outcome.Json.GetProperty("methods").GetArrayLength(), Is.EqualTo(3));
    }
}
