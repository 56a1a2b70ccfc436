using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>How Uni-LoRA's numbers are spread over several layers.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class UniLoraMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rank = 2;

    [Test]
    public void LayersTakeTheNumbersInTheirOrder([Values(64, 30, 7, 1000)] int length)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find("unilora"),
                new AdapterOptions
                {
                    Rank = Rank,
                    TargetModules = ["q_proj", "down_proj"],
                    Settings = new Dictionary<string, double> { ["length"] = length, ["place-seed"] = 3 },
                }
            )
        );
        Assert.That(adapter.TrainableCount, Is.EqualTo(length));
        float[] theta = adapter.Parameters.Parameters.Single().Master.ToArray();
        Assert.That(theta, Has.All.InRange(-0.02f, 0.02f).And.Some.Not.EqualTo(theta[0]));
        // PEFT's order: each number as often as any other, then different ones for the rest, and all shuffled.
        int all = adapter.Modules.Sum(module => Rank * (module.Shape.In + module.Shape.Out));
        NumpyGenerator generator = new(3);
        List<int> places = [.. Enumerable.Range(0, all / length * length).Select(i => i / (all / length))];
        if (all % length > 0)
            places.AddRange(generator.Choose(length, all % length));
        int[] order = [.. places];
        generator.Shuffle(order);
        int[] times = [.. Enumerable.Range(0, length).Select(number => order.Count(place => place == number))];
        Assert.That(times.Max() - times.Min(), Is.AtMost(1));
        double[] entries = [.. order.Select(place => theta[place] / Math.Sqrt(times[place]))];
        int at = 0;
        foreach (AdaptedModule module in adapter.Modules)
        {
            (int rows, int columns) = (module.Shape.Out, module.Shape.In);
            var right = Dense.Of(Rank, columns, entries.AsSpan(at));
            var left = Dense.Of(rows, Rank, entries.AsSpan(at += Rank * columns));
            at += Rank * rows;
            Assert.That(module.Core.ChangeAlone(), Is.EqualTo((left * right).Values).Within(1e-9), module.Shape.Name);
        }
    }

    [Test]
    public void FilesWithPlacesAreRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string saved = Path.Combine(Folder.Path, "adapter");
        AdapterOptions options = new() { Rank = Rank };
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("unilora"), options))
            adapter.Save(saved);
        string config = Path.Combine(saved, "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"r\"", "\"save_indices\": true, \"r\""));
        Assert.That(
            () => Adapter.Load(model, saved),
            Throws.TypeOf<InputException>().With.Message.Contains("save_indices is true, expected none: the places")
        );
    }
}
