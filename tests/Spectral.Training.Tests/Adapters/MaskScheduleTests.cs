using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>What methods of masks do in the course of training: parts in turn, switches, retired entries.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MaskScheduleTests(DeviceKind kind) : MaskTest(kind)
{
    [Test]
    public void ProLipStaysNearThePretrainedWeight()
    {
        double Distance(string lambda)
        {
            using Adapter adapter = Attach("prolip", Options, ("lambda", lambda));
            using Trainer trainer = new(
                Model,
                new TrainerOptions
                {
                    Steps = 40,
                    Batch = 4,
                    LearningRate = 1e-3,
                    LogEvery = 0,
                }
            );
            trainer.Run(TinyModels.Records(8, Model.Config, new Random(7)));
            return adapter.Modules.Sum(module =>
                module.Factors["delta"].Master.ToArray().Sum(value => (double)value * value)
            );
        }
        Assert.That(Distance("1000"), Is.LessThan(0.1 * Distance("0")));
    }

    /// <summary>
    /// The first step has one part too, and evaluations, also in the middle of the run, have all. Without momentum, no
    /// gradient is no update.
    /// </summary>
    [Test]
    public void MosaTrainsOnePartAStepAndEvaluatesWithAll()
    {
        using Adapter adapter = Attach("mosa", Options with { Rank = 4 }, ("parts", "2"));
        TestAdapters.Randomize(adapter, 3);
        EncodedRecord[] records = TinyModels.Records(8, Model.Config, new Random(7));
        float[] before = Factor(LoraNames.A);
        int columns = adapter.Modules[0].Shape.In;
        List<string> trained = [];
        List<float[]> active = [];
        using Trainer trainer = new(
            Model,
            new TrainerOptions
            {
                Steps = 12,
                Batch = 4,
                LearningRate = 1e-3,
                LogEvery = 0,
                EvalEvery = 1,
                Optimizer = new AdamWOptions { Beta1 = 0, WeightDecay = 0 },
            }
        );
        trainer.Run(records, records[..4], [new AtSteps(Note, Evaluated)]);
        Assert.Multiple(() =>
        {
            Assert.That(trained, Has.Count.EqualTo(12).And.All.AnyOf("0 2", "1 3"));
            Assert.That(trained.Distinct().Count(), Is.EqualTo(2), "both occur");
            Assert.That(active, Has.Count.GreaterThanOrEqualTo(12));
            Assert.That(active, Is.All.All.EqualTo((float)adapter.Options.Scale));
        });

        float[] Factor(string name) => adapter.Modules[0].Factors[name].Master.ToArray();

        void Evaluated() => active.Add(Factor("mosa_active"));

        void Note()
        {
            float[] after = Factor(LoraNames.A);
            IEnumerable<int> rows = Enumerable.Range(0, after.Length).Where(i => after[i] != before[i]);
            trained.Add(string.Join(" ", rows.Select(i => i / columns).Distinct()));
            before = after;
            Evaluated();
        }
    }

    /// <summary>
    /// By the method's definition on the whole gradient, which an adapter of whole matrices computes on the same data.
    /// </summary>
    [Test]
    public void Id3OpensTheLargestGradientsStepByStep()
    {
        Dictionary<string, float[]> whole = WholeGradients();
        using Adapter adapter = Attach("id3", Options with { Rank = 1 });
        var learned = adapter.Modules.ToDictionary(module => module.Shape.Name, _ => new Dictionary<int, float>());
        for (int step = 1; step <= 4; step++)
        {
            adapter.Parameters.ClearGradients();
            Gradients(adapter, SparseMasks.Values);
            adapter.BeforeUpdate(step, 4);
            foreach (AdaptedModule module in adapter.Modules)
            {
                float[] gradient = whole[module.Shape.Name];
                int count = (module.Shape.Out + module.Shape.In) * step / 4;
                int[] expected =
                [
                    .. Enumerable
                        .Range(0, gradient.Length)
                        .OrderByDescending(i => Math.Abs(gradient[i]))
                        .Take(count)
                        .Order(),
                ];
                Parameter values = module.Factors[SparseMasks.Values];
                int[] places = Places(module);
                double largest = gradient.Max(Math.Abs);
                Assert.Multiple(() =>
                {
                    Assert.That(values.Master.Count, Is.EqualTo(module.Shape.Out + module.Shape.In));
                    Assert.That(places.Where(place => place >= 0), Is.EqualTo(expected));
                    Assert.That(
                        values.Gradient!.ToArray(),
                        Is.EqualTo(places.Select(place => place < 0 ? 0 : gradient[place])).Within(1e-5 * largest)
                    );
                });
                // What an entry has learned goes along when others open before it.
                Dictionary<int, float> before = learned[module.Shape.Name];
                float[] now = values.Master.ToArray();
                for (int k = 0; k < places.Length; k++)
                {
                    if (places[k] >= 0)
                        Assert.That(now[k], Is.EqualTo(before.GetValueOrDefault(places[k])));
                    now[k] = before[places[k]] = places[k] < 0 ? 0 : 1e-9f * (places[k] + 1);
                }

                values.Master.CopyFrom(now); // too little to change the gradients
            }
        }
    }

    [Test]
    public void Id3DividesByTheMagnitude()
    {
        Dictionary<string, float[]> whole = WholeGradients();
        using Adapter adapter = Attach("id3", Options with { Rank = 1 }, ("power", "2"), ("epsilon", "0.01"));
        Gradients(adapter, SparseMasks.Values);
        adapter.BeforeUpdate(1, 1);
        foreach (AdaptedModule module in adapter.Modules)
        {
            double[] weight = Base(module).Values;
            double[] scores =
            [
                .. whole[module.Shape.Name].Zip(weight, (g, w) => Math.Abs(g) / Math.Pow(Math.Abs(w) + 0.01, 2)),
            ];
            HashSet<int> open = [.. Places(module)];
            double least = scores.Where((_, i) => open.Contains(i)).Min();
            double left = scores.Where((_, i) => !open.Contains(i)).Max();
            Assert.That(least, Is.GreaterThanOrEqualTo(left * (1 - 1e-5)));
        }
    }

    [Test]
    public void MaskTuningSwitchesEntriesOff()
    {
        using Adapter adapter = Attach("mask-tuning", Options with { Rank = 1 });
        TestAdapters.Randomize(adapter, 3);
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] scores = module.Factors["mask_scores"].Master.ToArray();
            double[] expected = [.. Base(module).Values];
            foreach ((int place, float score) in Places(module).Zip(scores))
                expected[place] = score > 0 ? expected[place] : 0;
            Assert.That(Array.ConvertAll(module.Core.MergedWeight(), value => (double)value), Is.EqualTo(expected));
        }
    }

    [Test]
    public void MaskTuningTrainsStraightThroughAndDropsWhatOpposes()
    {
        double[][] general = [.. Attached("mask-tuning", data => data.Gradients).Select(seen => seen.Seen)];
        using Adapter adapter = Attach("mask-tuning", Options);
        Dictionary<string, float[]> actual = Gradients(adapter, "mask_scores");
        adapter.Dispose();
        using Adapter dense = Attach("delta", Options);
        Dictionary<string, float[]> whole = Gradients(dense, "delta");
        dense.Dispose();
        using Adapter again = Attach("mask-tuning", Options);
        Gradients(again, "mask_scores");
        again.BeforeUpdate(1, 2);
        double sigmoid = 1 / (1 + Math.Exp(-0.01));
        int dropped = 0;
        foreach ((AdaptedModule module, double[] calibrated) in again.Modules.Zip(general))
        {
            int[] places = Places(module);
            double[] weight = Base(module).Values;
            float[] gradient = whole[module.Shape.Name];
            double[] expected = [.. places.Select(place => gradient[place] * weight[place] * sigmoid * (1 - sigmoid))];
            double largest = expected.Max(Math.Abs);
            Assert.That(actual[module.Shape.Name], Is.EqualTo(expected).Within(1e-5 * largest));
            for (int k = 0; k < places.Length; k++)
            {
                if (gradient[places[k]] * calibrated[places[k]] < 0)
                    (expected[k], dropped) = (0, dropped + 1);
            }

            Assert.That(module.Factors["mask_scores"].Gradient!.ToArray(), Is.EqualTo(expected).Within(1e-5 * largest));
        }

        Assert.That(dropped, Is.GreaterThan(0), "the test means something");
    }

    [Test]
    public void SaraTakesTheSmallestEntriesAndRetiresThoseThatGrow()
    {
        using Adapter adapter = Attach("sara", Options with { Rank = 1 });
        int retired = 0;
        foreach (AdaptedModule module in adapter.Modules)
        {
            double[] weight = Base(module).Values;
            IEnumerable<int> expected = Enumerable
                .Range(0, weight.Length)
                .OrderBy(i => Math.Abs(weight[i]))
                .Take(module.Shape.Out + module.Shape.In)
                .Order();
            Assert.That(Places(module), Is.EqualTo(expected));
        }

        TestAdapters.Perturb(adapter, 3);
        var merged = adapter.Modules.ToDictionary(module => module.Shape.Name, module => module.Core.MergedWeight());
        var places = adapter.Modules.ToDictionary(module => module.Shape.Name, Places);
        adapter.AfterUpdate(5, 10);
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] now = merged[module.Shape.Name];
            double[] weight = Base(module).Values;
            double threshold = places[module.Shape.Name].Max(place => Math.Abs(weight[place]));
            int[] left = [.. places[module.Shape.Name].Where(place => Math.Abs(now[place]) <= threshold)];
            retired += places[module.Shape.Name].Length - left.Length;
            Assert.Multiple(() =>
            {
                Assert.That(Places(module).Where(place => place >= 0), Is.EqualTo(left));
                Assert.That(module.Core.MergedWeight(), Is.EqualTo(now));
            });
        }

        Assert.That(retired, Is.GreaterThan(0), "the test means something");
    }

    [Test]
    public void SaraAddsTheSlopeOfTheNuclearNormToOneLayer()
    {
        const double Lambda = 0.5;
        using Adapter adapter = Attach("sara", Options with { Rank = 1 }, ("lambda", "0.5"));
        adapter.Parameters.EnableGradients();
        TestAdapters.Randomize(adapter, 3);
        adapter.BeforeUpdate(1, 10);
        AdaptedModule[] touched =
        [
            .. adapter.Modules.Where(module =>
                module.Factors[SparseMasks.Values].Gradient!.ToArray().Any(value => value != 0)
            ),
        ];
        Assert.That(touched, Has.Length.EqualTo(1));
        int[] places = Places(touched[0]);
        double[] values = Array.ConvertAll(
            touched[0].Factors[SparseMasks.Values].Master.ToArray(),
            value => (double)value
        );
        double[] slope = CentralDifferences.Of(values, 1e-6, () => Lambda * Nuclear(touched[0].Shape, places, values));
        Assert.That(
            touched[0].Factors[SparseMasks.Values].Gradient!.ToArray(),
            Is.EqualTo(slope).Within(1e-4 * slope.Max(Math.Abs))
        );
    }

    [Test]
    public void HftTrainsHalfOfTheMatricesOfEachBlock()
    {
        AdapterOptions options = Options with
        {
            TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
        };
        string[] Chosen(ulong seed)
        {
            using Adapter adapter = Attach("hft", options with { Seed = seed });
            return [.. adapter.Modules.Select(module => module.Shape.Name)];
        }
        string[] first = Chosen(1);
        IEnumerable<(string, int)> blocks = first.GroupBy(Parent).Select(block => (block.Key, block.Count()));
        Assert.Multiple(() =>
        {
            Assert.That(
                blocks.Select(block => block.Item2),
                Is.EqualTo(Enumerable.Repeat((int[])[2, 1], Model.Config.Layers).SelectMany(count => count))
            );
            Assert.That(Chosen(1), Is.EqualTo(first));
            Assert.That(Enumerable.Range(2, 5).Select(seed => Chosen((ulong)seed)), Has.Some.Not.EqualTo(first));
        });
    }

    private Dictionary<string, float[]> WholeGradients()
    {
        using Adapter dense = Attach("delta", Options);
        return Gradients(dense, "delta");
    }
}
