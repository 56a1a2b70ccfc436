using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>The gates of taps: open above the threshold, with the gradient of p, and pruned in files.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TapsMethodTests(DeviceKind kind) : AdapterFileTest(kind)
{
    private const int Rows = 7;
    private const int Columns = 5;
    private const int Rank = 3;
    private const double Scale = 5.0 / Rank;

    private Batch Data => Batch.Create(TinyModels.Records(4, Model, new Random(7)), 0);

    [TestCase(0.25f, 1)]
    [TestCase(0.125f, 0)]
    [TestCase(0.0625f, 0)]
    [TestCase(-1f, 0)]
    public void AGateIsOpenAboveTheThreshold(float p, int gate)
    {
        using var layer = new SingleLayer(Device, AdapterMethods.Find("taps"), Options(0.125), Rows, Columns);
        layer.Disturb(3, 0.6);
        layer.Module.Factors["taps_p"].Master.CopyFrom([p]);
        layer.Module.Core.Refresh(all: false);
        Random random = new(4);
        var direction = Dense.Of(Rows, Columns, (_, _) => (float)(random.NextDouble() - 0.5));
        Dense actual = layer.Run(direction);
        Dictionary<string, double[]> factors = layer.Values();
        var left = Dense.Of(Rows, Rank, factors[LoraNames.B]);
        var right = Dense.Of(Rank, Columns, factors[LoraNames.A]);
        Dense change = Scale * (left * right);
        Assert.That(actual.Values, Is.EqualTo((layer.Weight + (gate * change)).Values).Within(1e-5));
        // The gradient of p is that of the gate, open or closed; A and B have none behind a closed one.
        double expected = change.Values.Zip(direction.Values, (a, b) => a * b).Sum();
        VerifyGradient(layer.Module.Factors["taps_p"].Gradient!.ToArray(), [expected], 5e-5, "taps_p");
        VerifyGradient(
            layer.Module.Factors[LoraNames.B].Gradient!.ToArray(),
            (gate * Scale * (direction * right.Transposed)).Values,
            5e-5,
            LoraNames.B
        );
        VerifyGradient(
            layer.Module.Factors[LoraNames.A].Gradient!.ToArray(),
            (gate * Scale * (left.Transposed * direction)).Values,
            5e-5,
            LoraNames.A
        );
    }

    [Test]
    public void FilesLeaveOutClosedLayers()
    {
        float[] closed;
        using (var adapter = Adapter.Attach(Loaded, AdapterMethods.Find("taps"), Options(0.1)))
        {
            TestAdapters.Randomize(adapter, 3);
            foreach (AdaptedModule module in adapter.Modules)
                module.Factors["taps_p"].Master.CopyFrom([module.Shape.Name is Query or Down ? 0.3f : 0.1f]);
            adapter.Parameters.NotifyChanged();
            closed = Losses.Logits(Loaded, Data);
            adapter.Save(Saved);
        }
        using (AdapterReader reader = new(Saved, Model))
        {
            Assert.That(reader.Warnings, Is.Empty);
            Assert.That(reader.Modules.Select(module => module.Shape.Name), Is.EqualTo(new[] { Query, Down }));
        }
        using (Adapter.Load(Loaded, Saved))
        {
            // Zeros are added, but a longer product may round its sums in another order on some processors.
            Assert.That(Losses.Logits(Loaded, Data), Is.EqualTo(closed).Within(1e-6), "a closed gate changes nothing");
        }
        string merged = Path.Combine(Folder.Path, "merged");
        Directory.CreateDirectory(merged);
        using (var folder = ModelFolder.Open(Folder.Path))
            Merger.Merge(folder, Saved, merged, Device);
        Dictionary<string, double[]> before = TestAdapters.Weights(Folder.Path);
        foreach ((string name, double[] values) in TestAdapters.Weights(merged))
        {
            bool changes = name is $"{Query}.weight" or $"{Down}.weight";
            Assert.That(values, changes ? Is.Not.EqualTo(before[name]) : Is.EqualTo(before[name]), name);
        }
    }

    [Test]
    public void WithAllGatesClosedOneLayerIsKept()
    {
        using (var adapter = Adapter.Attach(Loaded, AdapterMethods.Find("taps"), Options(0.1)))
        {
            foreach (AdaptedModule module in adapter.Modules)
                module.Factors["taps_p"].Master.CopyFrom([0.05f]);
            adapter.Parameters.NotifyChanged();
            adapter.Save(Saved);
        }
        using AdapterReader reader = new(Saved, Model);
        Assert.That(reader.Modules.Select(module => module.Shape.Name), Is.EqualTo(new[] { Query }));
    }

    [Test]
    public void ThePenaltyClosesTheGatesOfLayersThatDoNotMatter()
    {
        using var adapter = Adapter.Attach(
            Loaded,
            AdapterMethods.Find("taps"),
            Options(0.1) with
            {
                Settings = new Dictionary<string, double> { ["lambda"] = 100 },
            }
        );
        using Trainer trainer = new(
            Loaded,
            new TrainerOptions
            {
                Steps = 30,
                Batch = 4,
                LearningRate = 1e-3,
                Schedule = ScheduleKind.Constant,
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(8, Model, new Random(31)));
        // Adam moves p by the rate times 20 a step: 0.5 passes the threshold after 20 steps.
        foreach (AdaptedModule module in adapter.Modules)
            Assert.That(module.Factors["taps_p"].Master.ToArray()[0], Is.LessThan(0.1f), module.Shape.Name);
    }

    private static AdapterOptions Options(double threshold) =>
        new()
        {
            Rank = Rank,
            Alpha = 5,
            Seed = 9,
            Settings = new Dictionary<string, double> { ["gate-threshold"] = threshold },
        };
}
