using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>Grafting: what trains in which part of a run, and what is left at its end.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GraftingMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 1,
        Alpha = 2,
        Seed = 5,
        TargetModules = ["k_proj", "down_proj"],
    };

    private CausalLanguageModel Model { get; set; } = null!;

    [SetUp]
    public void Load() => Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    [Test]
    public void FirstTheChangeTrainsThenTheMaskAndTheBestEntriesStay()
    {
        using Adapter adapter = Attach(Options);
        List<(float[] Change, float[] Scores)[]> after = [];
        Train(
            12,
            () =>
            {
                if (adapter.Modules[0].Form.Entries.Count == 0)
                    after.Add([.. adapter.Modules.Select(module => (Of(module, "delta"), Of(module, "graft_scores")))]);
            }
        );
        int[] sizes = [.. adapter.Modules.Select(module => module.Shape.Out * module.Shape.In)];
        int budget = adapter.Modules.Sum(module => module.Shape.Out + module.Shape.In);

        // After the sixth step, the entries that changed most of all layers begin with a score above zero.
        (int Layer, int Place)[] places = (
            from layer in Enumerable.Range(0, sizes.Length)
            from place in Enumerable.Range(0, sizes[layer])
            select (Layer: layer, Place: place)
        ).ToArray();
        var changed = places
            .OrderByDescending(at => Math.Abs(after[5][at.Layer].Change[at.Place]))
            .Take(budget)
            .ToHashSet();
        Assert.That(places.Where(at => after[5][at.Layer].Scores[at.Place] > 0), Is.EquivalentTo(changed));
        Assert.That(places.Select(at => Math.Abs(after[5][at.Layer].Scores[at.Place])), Is.All.EqualTo(2f));
        Assert.Multiple(() =>
        {
            for (int layer = 0; layer < sizes.Length; layer++)
            {
                Assert.That(after[0][layer].Change, Is.Not.EqualTo(after[4][layer].Change));
                Assert.That(after[10][layer].Change, Is.EqualTo(after[5][layer].Change), "not a bit, despite decay");
                Assert.That(after[10][layer].Scores, Is.Not.EqualTo(after[6][layer].Scores));
            }
        });

        // The last step makes one more update before it keeps the largest scores.
        int kept = 0;
        foreach ((AdaptedModule module, int layer) in adapter.Modules.Select((module, layer) => (module, layer)))
        {
            float[] weight = Base(module);
            float[] merged = module.Core.MergedWeight();
            float[] change = after[5][layer].Change;
            bool[] stays = [.. merged.Zip(weight, (now, own) => now != own)];
            kept += Places(module).Length;
            Assert.Multiple(() =>
            {
                for (int i = 0; i < merged.Length; i++)
                    Assert.That(merged[i], Is.EqualTo(stays[i] ? weight[i] + change[i] : weight[i]));
            });
        }

        Assert.That(after, Has.Count.EqualTo(11));
        Assert.That(kept, Is.EqualTo(budget));
        Assert.That(adapter.Parameters.Count, Is.EqualTo(budget), "nothing else is left");
    }

    /// <summary>What the mask was before the last step decides, up to the entries that this step exchanges.</summary>
    [Test]
    public void WhatStaysHasTheLargestScoresOfAllLayers()
    {
        using Adapter adapter = Attach(With(("first", 0.5), ("keep", 0.1)));
        TestAdapters.Randomize(adapter, 3);
        (float[] Change, float[] Scores)[] before =
        [
            .. adapter.Modules.Select(module => (Of(module, "delta"), Of(module, "graft_scores"))),
        ];
        adapter.BeforeForward(4, 4);
        adapter.AfterUpdate(4, 4);
        Assert.That(adapter.KeepEntries(4, 4), Is.True);
        int budget = before.Sum(layer => (int)Math.Ceiling(0.1 * layer.Change.Length));
        float least = before.SelectMany(layer => layer.Scores).OrderDescending().ElementAt(budget - 1);
        foreach ((AdaptedModule module, (float[] change, float[] scores)) in adapter.Modules.Zip(before))
        {
            int[] expected = [.. Enumerable.Range(0, scores.Length).Where(i => scores[i] >= least)];
            Assert.That(Places(module), Is.EqualTo(expected));
            Assert.That(
                Of(module, "mask_values").Take(expected.Length),
                Is.EqualTo(expected.Select(place => change[place]))
            );
        }

        float[][] merged = [.. adapter.Modules.Select(module => module.Core.MergedWeight())];
        string folder = Path.Combine(Folder.Path, "grafted");
        adapter.Save(folder);
        adapter.Dispose();
        using var loaded = Adapter.Load(Model, folder);
        Assert.That(loaded.Modules.Select(module => module.Core.MergedWeight()), Is.EqualTo(merged));
    }

    [Test]
    public void AMaskOfOnesGivesTheFineTunedModel()
    {
        using Adapter adapter = Attach(Options);
        TestAdapters.Randomize(adapter, 3);
        foreach (AdaptedModule module in adapter.Modules)
            module.Factors["graft_scores"].Master.CopyFrom([.. Of(module, "delta").Select(_ => 40f)]);
        adapter.Renew();
        foreach (AdaptedModule module in adapter.Modules)
        {
            Assert.That(
                module.Core.MergedWeight(),
                Is.EqualTo(Base(module).Zip(Of(module, "delta"), (own, change) => own + change))
            );
        }
    }

    /// <summary>
    /// The change of a LoRA, of methods that take over the weight, and of one that subtracts its start.
    /// </summary>
    [Test]
    public void TheChangeOfAnEarlierAdapterIsGrafted([Values("lora", "dora", "delta", "pissa")] string earlier)
    {
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "earlier")).FullName;
        Dictionary<string, float[]> merged;
        using (Adapter first = TestAdapters.Attach(Model, AdapterMethods.Find(earlier), Options))
        {
            TestAdapters.Perturb(first, 3);
            first.Save(directory);
            merged = first.Modules.ToDictionary(module => module.Shape.Name, module => module.Core.MergedWeight());
        }

        using Adapter adapter = Attach(Options.After(AdapterMethods.Find("grafting"), directory));
        float[][] taken = [.. adapter.Modules.Select(module => Of(module, "delta"))];
        foreach ((AdaptedModule module, float[] change) in adapter.Modules.Zip(taken))
        {
            float[] expected = [.. merged[module.Shape.Name].Zip(Base(module), (now, own) => now - own)];
            Assert.That(change, Is.EqualTo(expected).Within(2e-6f));
            Assert.That(expected, Has.Some.Not.Zero);
        }

        Train(4, () => { });
        foreach ((AdaptedModule module, float[] change) in adapter.Modules.Zip(taken))
        {
            int[] places = Places(module);
            Assert.That(
                Of(module, "mask_values").Take(places.Length),
                Is.EqualTo(places.Select(place => change[place])),
                "the whole run trains the mask"
            );
        }
    }

    [Test]
    public void WithoutAChangeThereIsNothingToGraft() =>
        Assert.That(
            () => Attach(With(("first", 0))),
            Throws.TypeOf<InputException>().With.Message.Contains("expected --previous-adapter")
        );

    private static AdapterOptions With(params (string Name, double Value)[] settings) =>
        Options with
        {
            Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
        };

    private Adapter Attach(AdapterOptions options) =>
        TestAdapters.Attach(Model, AdapterMethods.Find("grafting"), options);

    private void Train(int steps, Action atEnd)
    {
        using Trainer trainer = new(
            Model,
            new TrainerOptions
            {
                Steps = steps,
                Batch = 4,
                LearningRate = 1e-2,
                Optimizer = new AdamWOptions { WeightDecay = 0.1 },
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(8, Model.Config, new Random(7)), null, [new AtSteps(atEnd)]);
    }

    private float[] Base(AdaptedModule module) => Model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray();

    /// <summary>The places of the entries that are in use.</summary>
    private static int[] Places(AdaptedModule module) =>
        [.. module.Form.Entries[0].Index.ToInt32Array().Where(place => place >= 0)];

    private static float[] Of(AdaptedModule module, string factor) => module.Factors[factor].Master.ToArray();

    private sealed class AtSteps(Action note) : ITrainerCallback
    {
        public void OnStepEnd(int step, bool isLast) => note();
    }
}
