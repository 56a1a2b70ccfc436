using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Merging;

/// <summary>
/// Merges of factors against what the source of PEFT's add_weighted_adapter says of its types without svd, in double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FactorMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const string Down = "model.layers.2.mlp.down_proj.weight";
    private const string OnlyOne = "model.layers.0.self_attn.k_proj.weight";

    /// <summary>Two LoRAs of one rank, with scales 5/3 and 1/2; the second has one more kind of layer.</summary>
    private MergeInput[] Inputs(double first = 0.7, double second = -0.4) =>
        [new(Lora("one", 1, 5), first), new(Lora("two", 2, 1.5, "q_proj", "down_proj", "k_proj"), second)];

    [TestCase("linear", null, "")]
    [TestCase("magnitude", 0.3, "")]
    [TestCase("ties", 0.4, "magnitude")]
    [TestCase("ties", 0.4, "count")]
    [TestCase("dare-linear", 1, "")]
    [TestCase("dare-ties", 1, "count")]
    public void TheFactorsAreThoseOfPeft(string method, double? density, string vote)
    {
        MergeInput[] inputs = Inputs();
        MergeOptions options = (vote == "count" ? With(("vote", 1)) : new MergeOptions()) with { Density = density };
        Dictionary<string, double[]> made = Factors(Made(method, options, inputs));
        Dictionary<string, double[]>[] own = [.. inputs.Select(input => Factors(input.Directory))];
        Assert.That(made.Keys, Is.EquivalentTo(own[1].Keys));
        (double Weight, double Scale)[] scales = [(0.7, 5.0 / 3), (-0.4, 1.5 / 3)];
        foreach ((string name, double[] values) in made)
        {
            int[] having = [.. Enumerable.Range(0, 2).Where(i => own[i].ContainsKey(name))];
            double[] weights =
            [
                .. having.Select(i =>
                    Math.Sqrt(Math.Abs(scales[i].Weight * scales[i].Scale))
                    * (name.Contains("lora_A", StringComparison.Ordinal) ? Math.Sign(scales[i].Weight) : 1)
                ),
            ];
            double[][] pruned = [.. having.Select(i => Prune(own[i][name], density ?? 1))];
            Compare(values, Combined(pruned, weights, vote), 1e-6, name);
        }
    }

    [Test]
    public void TheResultIsAPlainLoraOfScaleOneWhoseProductIsMerged()
    {
        MergeInput[] inputs = Inputs();
        string made = Made("linear", new MergeOptions(), inputs);
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(made, "adapter_config.json")))!;
        Assert.That((int)config["r"]!, Is.EqualTo(3));
        Assert.That((double)config["lora_alpha"]!, Is.EqualTo(3));
        Dictionary<string, double[]> factors = Factors(made);
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]> merged = Merge("linear", null, new MergeInput(made));
        foreach (string weight in (string[])[Query, Down, OnlyOne])
        {
            string module = $"base_model.model.{weight[..^".weight".Length]}";
            double[] left = factors[$"{module}.lora_B.weight"];
            double[] right = factors[$"{module}.lora_A.weight"];
            int columns = right.Length / 3;
            double[] expected =
            [
                .. origin[weight]
                    .Select(
                        (value, i) =>
                            value
                            + Enumerable
                                .Range(0, 3)
                                .Sum(k => left[(i / columns * 3) + k] * right[(k * columns) + (i % columns)])
                    ),
            ];
            Compare(merged[weight], expected, 1e-6, weight);
        }
        string other = "model.layers.0.self_attn.v_proj.weight";
        Assert.That(merged[other], Is.EqualTo(origin[other]));
    }

    [Test]
    public void RandomDropsAreOfEachFactorByItself()
    {
        MergeInput[] inputs = [Inputs()[0]];
        Dictionary<string, double[]> own = Factors(inputs[0].Directory);
        double weight = Math.Sqrt(0.7 * 5 / 3);
        Dictionary<string, double[]> made = Factors(
            Made("dare-linear", new MergeOptions { Density = 0.5, Seed = 3 }, inputs)
        );
        List<bool> kept = [];
        foreach ((string name, double[] values) in made)
        {
            for (int i = 0; i < values.Length; i++)
            {
                kept.Add(values[i] != 0);
                if (values[i] != 0)
                    Assert.That(values[i], Is.EqualTo(2 * weight * own[name][i]).Within(1e-5), name);
            }
        }
        Assert.That(kept.Count(stays => stays), Is.EqualTo(kept.Count / 2.0).Within(4 * Math.Sqrt(kept.Count) / 2));
    }

    [Test]
    public void WhatHasNoFactorsOrNoRankInCommonIsNamed()
    {
        string lora = Lora("one", 1, 5);
        string wider = AdapterOf("lora", 4, 2, Folder.File("wider"));
        string dora = AdapterOf("dora", 3, 3, Folder.File("dora"));
        Refused("linear", ["down_proj has rank 3", lora, "and 4", wider, "expected"], lora, wider);
        Refused("linear", [dora, "is no plain LoRA of a linear layer"], lora, dora);
        Refused("linear", [Folder.File("tuned1-0.1"), "is no plain LoRA"], Tuned(1).Directory);
        Refused("sce", ["sce does not merge the factors of LoRAs", "linear, magnitude, ties"], lora);
        Assert.That(
            () => Made("ties", With(("scope", 1)), new MergeInput(lora)),
            Refuses("ties looks at the whole model with these settings", "expected")
        );

        void Refused(string method, string[] parts, params string[] inputs) =>
            Assert.That(
                () => Made(method, new MergeOptions(), [.. inputs.Select(input => new MergeInput(input))]),
                Refuses(parts)
            );
    }

    private static double[] Prune(double[] values, double density)
    {
        var kept = Enumerable
            .Range(0, values.Length)
            .OrderByDescending(i => Math.Abs(values[i]))
            .Take((int)(density * values.Length))
            .ToHashSet();
        return [.. values.Select((value, i) => kept.Contains(i) ? value : 0)];
    }

    private static double[] Combined(double[][] deltas, double[] weights, string vote) =>
        [
            .. Enumerable
                .Range(0, deltas[0].Length)
                .Select(i =>
                {
                    double[] own = [.. deltas.Select(delta => delta[i])];
                    if (vote.Length == 0)
                        return own.Zip(weights, (value, weight) => value * weight).Sum();
                    double votes = own.Sum(value => vote == "count" ? Math.Sign(value) : value);
                    int majority = votes >= 0 ? 1 : -1;
                    int[] agreeing = [.. Enumerable.Range(0, own.Length).Where(k => Math.Sign(own[k]) == majority)];
                    return agreeing.Sum(k => own[k] * weights[k]) / Math.Max(1, agreeing.Length);
                }),
        ];

    private string Made(string method, MergeOptions options, params MergeInput[] inputs)
    {
        string made = Folder.File("made");
        if (Directory.Exists(made))
            Directory.Delete(made, recursive: true);
        Directory.CreateDirectory(made);
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(model, MergeMethods.Find(method), inputs, options, Device);
        Assert.That(merge.WriteFactors(made), Is.EqualTo(Factors(made).Count));
        return made;
    }

    private string Lora(string name, int seed, double alpha, params string[] targets)
    {
        string folder = AdapterOf("lora", 3, seed, Folder.File(name), targets.Length > 0 ? targets : null);
        string path = Path.Combine(folder, "adapter_config.json");
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
        config["lora_alpha"] = alpha;
        File.WriteAllText(path, config.ToJsonString());
        return folder;
    }

    private static Dictionary<string, double[]> Factors(string directory)
    {
        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        return file.Tensors.Values.ToDictionary(
            tensor => tensor.Name,
            tensor => Array.ConvertAll(tensor.ToFloats(), value => (double)value)
        );
    }
}
