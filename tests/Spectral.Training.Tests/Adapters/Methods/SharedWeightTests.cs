using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>Layers that share a weight, and methods around others.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SharedWeightTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly ModelConfig Config = TinyModels.Llama with { Layers = 3 };

    /// <summary>
    /// With one block, all layers of a kind share their mean; with two, the first and the third do. At full rank, each
    /// layer is itself again.
    /// </summary>
    [TestCase(1)]
    [TestCase(2)]
    public void RelaxedRecursiveLayersShareTheirMeanAndDifferByALora(int blocks)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        float[][] weights =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(i =>
                    model
                        .Linears.First(linear => linear.Name == $"model.layers.{i}.self_attn.q_proj")
                        .Weight.Value.ToArray()
                ),
        ];
        int size = model.Linears.First(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal)).In;
        var options = new AdapterOptions
        {
            Rank = size,
            Alpha = 3,
            TargetModules = ["q_proj"],
            Settings = new Dictionary<string, double> { ["blocks"] = blocks },
        };
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("relaxed-recursive"), options);
        Assert.That(
            adapter.Parameters.Parameters.Count(parameter => parameter.Name.Contains("recursive_W")),
            Is.EqualTo(blocks)
        );
        for (int i = 0; i < 3; i++)
        {
            int[] sharing = [.. Enumerable.Range(0, 3).Where(other => other % blocks == i % blocks)];
            float[] mean = adapter
                .Modules[i]
                .Factors[$"recursive_W.model.layers.{i % blocks}.self_attn.q_proj"]
                .Master.ToArray();
            float[] expected =
            [
                .. Enumerable.Range(0, mean.Length).Select(at => (float)sharing.Average(j => (double)weights[j][at])),
            ];
            Assert.That(mean, Is.EqualTo(expected).Within(1e-6f));
            Assert.That(adapter.Modules[i].Core.MergedWeight(), Is.EqualTo(weights[i]).Within(1e-5f));
        }
    }

    /// <summary>
    /// A change of zero would have no direction, and no norm of it could train: factors that begin at zero elsewhere
    /// do not here.
    /// </summary>
    [TestCase("map(lora)", "lora_B.weight")]
    [TestCase("map(vera)", "vera_lambda_b")]
    public void TheChangeUnderMapHasADirectionFromTheStart(string name, string factor)
    {
        var options = new AdapterOptions { Rank = 2, Alpha = 3 };
        using var layer = new SingleLayer(Device, AdapterMethods.Find(name), options, 5, 7);
        layer.Run(Dense.Of(5, 7, (i, j) => (i * 7 + j * 3) % 5 - 2));
        Assert.That(layer.Module.Factors[factor].Master.ToArray(), Has.All.Not.Zero);
        Assert.That(layer.Module.Factors["map_beta"].Gradient!.ToArray()[0], Is.Not.EqualTo(0).Within(1e-3));
    }

    [TestCase("map(randlora)", "randlora does more than add low-rank terms")]
    [TestCase("map(pissa)", "pissa does more than add low-rank terms")]
    [TestCase("map(shira)", "shira does more than add low-rank terms")]
    [TestCase("map(map)", "map does more than add low-rank terms")]
    public void MapTakesLowRankTermsOnly(string name, string says) =>
        Assert.That(
            () =>
                AdaptedModule.Describe(
                    AdapterMethods.Find(name),
                    new AdapterOptions { Rank = 2 },
                    [new ModuleShape("layer", 8, 8)]
                ),
            Throws.TypeOf<InputException>().With.Message.Contains(says)
        );

    [TestCase("map(none)")]
    [TestCase("map()")]
    [TestCase("map(lora")]
    [TestCase("map(map(lora))")]
    public void OtherNamesAreUnknown(string name)
    {
        Assert.That(AdapterMethods.Has(name), Is.False);
        Assert.That(
            () => AdapterMethods.Find(name),
            Throws.TypeOf<InputException>().With.Message.StartsWith($"unknown adapter '{name}'")
        );
    }
}
