using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// Targets with PEFT's meaning: names or ends of names, all-linear, or an expression that matches full names.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdapterTargetsTests(DeviceKind kind) : AdapterFileTest(kind)
{
    [TestCase("q_proj,v_proj", "q_proj", "v_proj")]
    [TestCase("layers.0.self_attn.q_proj, up_proj", "layers.0.self_attn.q_proj", "up_proj")]
    [TestCase("all-linear", "all-linear")]
    [TestCase("All-Linear", "All-Linear")]
    [TestCase(@".*\.(q|v)_proj", @".*\.(q|v)_proj")]
    [TestCase(@".*\.[0-9]{1,2}\..*_proj", @".*\.[0-9]{1,2}\..*_proj")]
    [TestCase("", "")]
    [TestCase("q_proj,", "q_proj", "")]
    public void ATextIsAListOrOneExpression(string text, params string[] targets) =>
        Assert.That(AdapterTargets.Parse(text), Is.EqualTo(targets));

    [TestCase("all-linear", "model.layers.[01].(self_attn.[qkvo]|mlp.(gate|up|down))_proj")]
    [TestCase(@".*\.(q|v)_proj", "model.layers.[01].self_attn.[qv]_proj")]
    [TestCase(@"model\.layers\.1\..*down_proj", "model.layers.1.mlp.down_proj")]
    public void WhatItMatchesIsAdaptedAndSavedByName(string text, string names)
    {
        string[] expected =
        [
            .. ModelTensors
                .Linears(Model)
                .Select(linear => linear.Name)
                .Where(name => Regex.IsMatch(name, $"^{names}$")),
        ];
        AdapterOptions options = new() { Rank = 2, TargetModules = AdapterTargets.Parse(text) };
        Assert.That(AdapterTargets.Of(Model, options).Select(shape => shape.Name), Is.EqualTo(expected));
        using (var adapter = Adapter.Attach(Loaded, AdapterMethods.Find("lora"), options))
        {
            Assert.That(adapter.Modules.Select(module => module.Shape.Name), Is.EqualTo(expected));
            adapter.Save(Saved);
        }
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(Saved, "adapter_config.json")))!;
        Assert.That(config["target_modules"]!.AsArray().Select(name => name!.ToString()), Is.EqualTo(expected));
        using AdapterReader reader = new(Saved, Model);
        Assert.That(reader.Warnings, Is.Empty);
        Assert.That(reader.Modules.Select(module => module.Shape.Name), Is.EqualTo(expected));
    }

    [Test]
    public void ARankOfZeroLeavesALayerOut()
    {
        AdapterOptions options = new()
        {
            Rank = 2,
            // The first entry that matches counts, so k_proj of the second layer has a rank.
            RankPattern =
            [
                new("layers.1.self_attn.k_proj", 3),
                new("(q|k)_proj", 0),
                new("layers.1.mlp.down_proj", 0),
                new("down_proj", 4),
            ],
            TargetModules = ["q_proj", "k_proj", "down_proj"],
        };
        (string, int)[] expected = [("model.layers.0.mlp.down_proj", 4), ("model.layers.1.self_attn.k_proj", 3)];
        using (var adapter = Adapter.Attach(Loaded, AdapterMethods.Find("lora"), options))
        {
            Assert.That(
                adapter.Modules.Select(module => (module.Shape.Name, module.Options.Rank)),
                Is.EqualTo(expected)
            );
            adapter.Save(Saved);
        }
        using AdapterReader reader = new(Saved, Model);
        Assert.That(reader.Warnings, Is.Empty);
        Assert.That(reader.Modules.Select(module => (module.Shape.Name, module.Options.Rank)), Is.EqualTo(expected));
        Assert.That(
            () => AdapterTargets.Of(Model, options with { RankPattern = [new(".*", 0)] }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 0 for every target")
        );
    }

    [TestCase("q_porj", "'q_porj' matches no layer", "q_proj")]
    [TestCase("(q|v)_proj", "full names", "model.layers.0.self_attn.q_proj")]
    [TestCase("((q", "regular expression", "((q")]
    public void WhatMatchesNothingIsNamed(string text, params string[] says)
    {
        AdapterOptions options = new() { TargetModules = AdapterTargets.Parse(text) };
        InputException error = Assert.Throws<InputException>(() => AdapterTargets.Of(Model, options))!;
        foreach (string part in says)
            Assert.That(error.Message, Does.Contain(part));
    }
}
