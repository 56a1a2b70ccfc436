using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Adapters that are read, trained further and saved again: their config says what the first one said, in a way that
/// it is read.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SavedAgainTests(DeviceKind kind) : TrainingTest(kind)
{
    private const string Query = "model.layers.1.self_attn.q_proj";
    private const string Value = "model.layers.1.self_attn.v_proj";

    private static readonly ModelConfig Model = TinyModels.Everything;

    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        Alpha = 6,
        Seed = 5,
        TargetModules = [Query, Value],
    };

    private string First => Path.Combine(Folder.Path, "first");

    private string Second => Path.Combine(Folder.Path, "second");

    [TestCase("""{"target_modules":["q_proj","v_proj"],"layers_to_transform":[1]}""")]
    [TestCase("""{"target_modules":["q_proj","v_proj"],"layers_to_transform":1,"layers_pattern":"layers"}""")]
    [TestCase(
        """
            {"target_modules":["q_proj","v_proj"],"exclude_modules":["layers.0.self_attn.q_proj",
            "layers.0.self_attn.v_proj"]}
            """
    )]
    [TestCase("""{"target_modules":["q_proj","v_proj"],"exclude_modules":".*\\.0\\..*"}""")]
    [TestCase("""{"target_modules":"model\\.layers\\.1\\.self_attn\\.[qv]_proj"}""")]
    public void TheLayersStayTheSame(string said)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        Save(model, Options);
        Change(said);
        using (var loaded = Adapter.Load(model, First))
        {
            Assert.That(loaded.Modules.Select(module => module.Shape.Name), Is.EqualTo(new[] { Query, Value }));
            loaded.Save(Second);
        }
        using var again = Adapter.Load(model, Second);
        Assert.That(again.Modules.Select(module => module.Shape.Name), Is.EqualTo(new[] { Query, Value }));
        using AdapterReader reader = new(Second, Model);
        Assert.That(reader.Warnings, Is.Empty);
    }

    /// <summary>
    /// PEFT up to 0.14 asks <c>.*\.{key}$</c>, later ones <c>(.*\.)?({key})$</c>, both from the beginning of a name.
    /// </summary>
    [Test]
    public void KeysOfPatternsMatchTheirLayerAloneInEveryVersionOfPeft()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        Save(model, Options with { RankPattern = [new("q_proj", 1)], AlphaPattern = [new("layers.1.*v_proj", 9)] });
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(First, "adapter_config.json")))!.AsObject();
        string[] names = [.. model.Linears.Select(linear => linear.Name)];
        foreach ((string field, string wanted) in new[] { ("rank_pattern", Query), ("alpha_pattern", Value) })
        {
            string key = config[field]!.AsObject().Single().Key;
            foreach (string rule in new[] { $@"^.*\.{key}$", $@"^(.*\.)?({key})$" })
                Assert.That(names.Where(name => Regex.IsMatch(name, rule)), Is.EqualTo(new[] { wanted }), field);
        }
    }

    [Test]
    public void TheBaseIsFoundAgain()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        Save(model, Options);
        Assert.That(Base(First), Is.EqualTo(Path.GetFullPath(Folder.Path)), "of a folder its full path");
        Change("""{"base_model_name_or_path":"somebody/model"}""");
        using (var loaded = Adapter.Load(model, First))
            loaded.Save(Second);
        Assert.That(Base(Second), Is.EqualTo("somebody/model"), "what the adapter to start from says");
        Change("""{"base_model_name_or_path":null}""");
        using (var loaded = Adapter.Load(model, First))
            loaded.Save(Second);
        Assert.That(Base(Second), Is.EqualTo(Path.GetFullPath(Folder.Path)));

        static string? Base(string folder)
        {
            string config = File.ReadAllText(Path.Combine(folder, "adapter_config.json"));
            return (string?)JsonNode.Parse(config)!["base_model_name_or_path"];
        }
    }

    [TestCase("""{"rank_pattern":{"q_prj":4}}""", "rank_pattern 'q_prj'")]
    [TestCase("""{"alpha_pattern":{"q_proj":6,"k_proj":4}}""", "alpha_pattern 'k_proj'")]
    [TestCase("""{"exclude_modules":["o_prj"]}""", "exclude_modules 'o_prj'")]
    [TestCase("""{"exclude_modules":"o_prj"}""", "exclude_modules 'o_prj'")]
    [TestCase("""{"target_modules":["q_proj","v_proj"],"layers_to_transform":[1,2]}""", "layers_to_transform 2")]
    public void WhatMatchesNothingInAFileIsMentioned(string said, string named)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        Save(model, Options);
        Change(said);
        using AdapterReader reader = new(First, Model);
        Assert.That(reader.Warnings, Has.One.Contains($"adapter_config.json: {named} matches no layer"));
    }

    [Test]
    public void WhatMatchesNothingInTheOptionsIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        AdapterMethod lora = AdapterMethods.Find("lora");
        AdapterOptions ranks = Options with { RankPattern = [new("q_proj", 2), new("k_proj", 4)] };
        Assert.That(
            () => Adapter.Attach(model, lora, ranks),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("rank pattern 'k_proj'")
                .And.Message.EndsWith("there are: q_proj, v_proj")
        );
        Assert.That(
            () => Adapter.Attach(model, lora, Options with { AlphaPattern = [new("proj", 4)] }),
            Throws.TypeOf<InputException>().With.Message.Contains("alpha pattern 'proj'")
        );
    }

    private void Save(CausalLanguageModel model, AdapterOptions options)
    {
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options);
        TestAdapters.Randomize(adapter, 3);
        adapter.Save(First);
    }

    private void Change(string keys)
    {
        string file = Path.Combine(First, "adapter_config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            config[key] = value?.DeepClone();
        File.WriteAllText(file, config.ToJsonString());
    }
}
