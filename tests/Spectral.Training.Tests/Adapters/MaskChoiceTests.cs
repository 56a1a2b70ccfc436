using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Which entries, blocks and channels methods choose, beside plain loops in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MaskChoiceTests(DeviceKind kind) : DataMethodTest(kind)
{
    [Test]
    public void LiftTakesTheLargestEntriesOfTheApproximation([Values(1, 4)] int filter)
    {
        using Adapter adapter = Attach("lift", Options with { Rank = 1 }, ("filter-rank", $"{filter}"));
        foreach (AdaptedModule module in adapter.Modules)
        {
            Dense weight = Base(module);
            (Dense u, double[] sigma, Dense v) = JacobiSvd.Of(weight);
            double[] size =
            [
                .. Dense
                    .Of(
                        weight.Rows,
                        weight.Columns,
                        (i, j) => Enumerable.Range(0, filter).Sum(k => u[i, k] * sigma[k] * v[j, k])
                    )
                    .Values.Select(Math.Abs),
            ];
            int[] places = Places(module);
            double least = places.Min(place => size[place]);
            double left = Enumerable.Range(0, size.Length).Except(places).Max(place => size[place]);
            Assert.Multiple(() =>
            {
                Assert.That(places, Has.Length.EqualTo(weight.Rows + weight.Columns));
                Assert.That(places, Is.Ordered.Ascending.And.Unique);
                Assert.That(least, Is.GreaterThanOrEqualTo(left - Tolerance * size.Max()));
            });
        }
    }

    /// <summary>
    /// Among the blocks of all layers, where one layer may get many and another none, as the authors' code takes them.
    /// </summary>
    [TestCase(1)]
    [TestCase(3)]
    public void SmtTakesTheBlocksWithTheLargestMeanOfAllLayers(int rank)
    {
        using Adapter whole = Attach("delta", Options);
        ModuleShape[] layers = [.. whole.Modules.Select(module => module.Shape)];
        whole.Dispose();
        List<(double Mean, string Layer, int[] Places)> blocks = [];
        foreach (
            (ModuleShape layer, Tensor gradient) in layers.Zip(Data.Gradients([.. layers.Select(layer => layer.Name)]))
        )
        {
            float[] values = gradient.ToArray();
            gradient.Dispose();
            for (int block = 0; block < values.Length / 4; block++)
            {
                (int row, int column) = (2 * (block / (layer.In / 2)), 2 * (block % (layer.In / 2)));
                int[] places = [.. Enumerable.Range(0, 4).Select(i => (row + i / 2) * layer.In + column + i % 2)];
                blocks.Add((Math.Abs(places.Sum(place => (double)values[place]) / 4), layer.Name, places));
            }
        }

        var expected = blocks
            .OrderByDescending(block => block.Mean)
            .Take(rank * layers.Length)
            .GroupBy(block => block.Layer)
            .ToDictionary(layer => layer.Key, layer => layer.SelectMany(block => block.Places).Order().ToArray());
        Assert.That(
            expected.Values.Select(places => places.Length).Distinct().Count(),
            Is.GreaterThan(1),
            "they differ"
        );
        using Adapter adapter = Attach("smt", Options with { Rank = rank }, ("block-size", "2"));
        Assert.That(adapter.Modules.Select(module => module.Shape.Name), Is.EquivalentTo(expected.Keys));
        foreach (AdaptedModule module in adapter.Modules)
            Assert.That(Places(module), Is.EqualTo(expected[module.Shape.Name]));

        // A layer's number of blocks comes back with its rank.
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "smt")).FullName;
        TestAdapters.Randomize(adapter, 3);
        var merged = adapter.Modules.ToDictionary(module => module.Shape.Name, module => module.Core.MergedWeight());
        adapter.Save(directory);
        adapter.Dispose();
        using var loaded = Adapter.Load(Model, directory);
        Assert.That(loaded.Modules.Select(module => module.Shape.Name), Is.EqualTo(merged.Keys));
        foreach (AdaptedModule module in loaded.Modules)
            Assert.That(module.Core.MergedWeight(), Is.EqualTo(merged[module.Shape.Name]));
    }

    [Test]
    public void SmtTakesNoMoreBlocksThanALayerHas()
    {
        Assert.That(
            () => Attach("smt", Options with { Rank = 0 }),
            Throws.TypeOf<InputException>().With.Message.Contains("at least 1")
        );
        using Adapter adapter = Attach("smt", Options with { Rank = 1000 }, ("block-size", "4"));
        Assert.That(
            adapter.Modules.Select(module => Places(module).Length),
            Is.EqualTo(adapter.Modules.Select(module => module.Shape.Out * module.Shape.In))
        );
    }

    [Test]
    public void SdtTakesTheOutputsWithTheLargestGradient()
    {
        foreach ((AdaptedModule module, double[] gradient) in Attached("sdt", data => data.Gradients))
        {
            int columns = module.Shape.In;
            IEnumerable<int> expected = Enumerable
                .Range(0, module.Shape.Out)
                .OrderByDescending(row =>
                    Enumerable.Range(0, columns).Sum(j => Math.Pow(gradient[row * columns + j], 2))
                )
                .Take(Rank)
                .Order();
            Assert.That(Selected(module, LoraNames.B, Rank, asRows: false), Is.EqualTo(expected));
        }
    }

    [Test]
    public void S2ftTakesTheSameChannelsInsideABlockOfTheModel()
    {
        AdapterOptions options = Options with { TargetModules = ["gate_proj", "up_proj", "down_proj"] };
        using Adapter adapter = Attach("s2ft", options);
        foreach (IGrouping<string, AdaptedModule> block in adapter.Modules.GroupBy(module => Parent(module.Shape.Name)))
        {
            int[][] channels =
            [
                .. block.Select(module =>
                    module.Shape.Name.EndsWith("down_proj", StringComparison.Ordinal)
                        ? Selected(module, LoraNames.A, Rank, asRows: true)
                        : Selected(module, LoraNames.B, Rank, asRows: false)
                ),
            ];
            Assert.Multiple(() =>
            {
                Assert.That(channels, Has.Length.EqualTo(3));
                Assert.That(channels[0], Is.Ordered.Ascending.And.Unique);
                Assert.That(channels, Is.All.EqualTo(channels[0]));
            });
        }

        TestAdapters.Randomize(adapter, 3);
        AdaptedModule down = adapter.Modules.First(module =>
            module.Shape.Name.EndsWith("down_proj", StringComparison.Ordinal)
        );
        int[] trained = Selected(down, LoraNames.A, Rank, asRows: true);
        double[] before = Base(down).Values;
        float[] merged = down.Core.MergedWeight();
        Assert.That(
            Enumerable
                .Range(0, merged.Length)
                .Where(i => merged[i] != before[i])
                .Select(i => i % down.Shape.In)
                .Distinct(),
            Is.EquivalentTo(trained),
            "the chosen columns and no others"
        );
    }

    /// <summary>
    /// Entries leave and come back; what the layer computes stays, and so do the moments of those that stay.
    /// </summary>
    [Test]
    public void AMaskMovesWithItsMomentsAndKeepsWhatLeft()
    {
        using Adapter adapter = Attach("lift", Options with { Rank = 1 }, ("spare", "1"));
        using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions());
        using WeightAverage average = new(adapter.Parameters, decay: 0.9);
        TestAdapters.Randomize(adapter, 3);
        AdaptedModule module = adapter.Modules[0];
        Parameter values = module.Factors[SparseMasks.Values];
        int parameter = adapter.Parameters.Parameters.ToList().IndexOf(values);
        Write(optimizer.FirstMoments, k => k + 1);
        Write(average.Values, k => -k - 1);
        int[] first = Places(module);
        float[] weight = module.Core.MergedWeight();
        int[] unused = [.. Enumerable.Range(0, weight.Length).Except(first)];
        int[] second = [.. first.Take(5).Concat(unused.Take(first.Length - 5)).Order()];
        float[] former = values.Master.ToArray();

        Move(second);
        float[] moments = Read(optimizer.FirstMoments);
        float[] averages = Read(average.Values);
        Assert.Multiple(() =>
        {
            Assert.That(Places(module), Is.EqualTo(second));
            Assert.That(module.Core.MergedWeight(), Is.EqualTo(weight));
            for (int k = 0; k < second.Length; k++)
            {
                int before = Array.IndexOf(first, second[k]);
                Assert.That(moments[k], Is.EqualTo(before < 0 ? 0 : before + 1), $"{second[k]}");
                Assert.That(averages[k], Is.EqualTo(before < 0 ? 0 : -before - 1), $"average of {second[k]}");
                Assert.That(values.Master.ToArray()[k], Is.EqualTo(before < 0 ? 0 : former[before]), $"{second[k]}");
            }
        });

        Move(first);
        Assert.Multiple(() =>
        {
            Assert.That(Places(module), Is.EqualTo(first));
            Assert.That(values.Master.ToArray(), Is.EqualTo(former), "they come back with their changes");
            Assert.That(module.Core.MergedWeight(), Is.EqualTo(weight));
        });

        void Move(int[] wanted)
        {
            SparseMasks.Move(
                new AdapterStep(adapter.Options, adapter.Modules, adapter.Parameters, 1, 2),
                module,
                wanted
            );
            adapter.Renew();
        }

        void Write(IReadOnlyList<Tensor> buffers, Func<int, float> value)
        {
            using Tensor part = adapter.Parameters.PartOf(buffers, parameter);
            part.CopyFrom([.. Enumerable.Range(0, (int)part.Count).Select(value)]);
        }

        float[] Read(IReadOnlyList<Tensor> buffers)
        {
            using Tensor part = adapter.Parameters.PartOf(buffers, parameter);
            return part.ToArray();
        }
    }

    [Test]
    public void WithoutRoomEntriesStay()
    {
        using Adapter adapter = Attach("lift", Options with { Rank = 1 }, ("spare", "0.1"));
        TestAdapters.Randomize(adapter, 3);
        AdaptedModule module = adapter.Modules[0];
        int room = module.Form.Entries[1].Index.ToInt32Array().Length;
        int[] first = Places(module);
        float[] weight = module.Core.MergedWeight();
        int[] wanted = [.. Enumerable.Range(0, weight.Length).Except(first).Take(first.Length)];
        SparseMasks.Move(new AdapterStep(adapter.Options, adapter.Modules, adapter.Parameters, 1, 2), module, wanted);
        adapter.Renew();
        Assert.Multiple(() =>
        {
            Assert.That(Places(module).Intersect(wanted).Count(), Is.EqualTo(room).And.GreaterThan(0));
            Assert.That(Places(module), Is.Ordered.Ascending.And.Unique);
            Assert.That(module.Core.MergedWeight(), Is.EqualTo(weight));
        });
    }

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

    [Test]
    public void Id3OpensTheLargestGradientsAndClearsTheOthers()
    {
        using Adapter adapter = Attach("id3", Options with { Rank = 1 });
        Dictionary<string, float[]> gradients = Gradients(adapter, "delta");
        for (int step = 1; step <= 4; step++)
        {
            adapter.BeforeUpdate(step, 4);
            foreach (AdaptedModule module in adapter.Modules)
            {
                float[] gradient = gradients[module.Shape.Name];
                int count = (module.Shape.Out + module.Shape.In) * step / 4;
                int[] expected =
                [
                    .. Enumerable
                        .Range(0, gradient.Length)
                        .OrderByDescending(i => Math.Abs(gradient[i]))
                        .Take(count)
                        .Order(),
                ];
                float[] left = module.Factors["delta"].Gradient!.ToArray();
                float[] open = module.Factors["id3_open"].Master.ToArray();
                Assert.Multiple(() =>
                {
                    Assert.That(Enumerable.Range(0, open.Length).Where(i => open[i] != 0), Is.EqualTo(expected));
                    Assert.That(left, Is.EqualTo(gradient.Select((value, i) => value * open[i])));
                });
                module.Factors["delta"].Gradient!.CopyFrom(gradient); // as the next step's, of the same data
            }
        }
    }

    [Test]
    public void Id3DividesByTheMagnitude()
    {
        using Adapter adapter = Attach("id3", Options with { Rank = 1 }, ("power", "2"), ("epsilon", "0.01"));
        Dictionary<string, float[]> gradients = Gradients(adapter, "delta");
        adapter.BeforeUpdate(1, 1);
        foreach (AdaptedModule module in adapter.Modules)
        {
            double[] weight = Base(module).Values;
            double[] scores =
            [
                .. gradients[module.Shape.Name].Zip(weight, (g, w) => Math.Abs(g) / Math.Pow(Math.Abs(w) + 0.01, 2)),
            ];
            float[] open = module.Factors["id3_open"].Master.ToArray();
            double least = scores.Where((_, i) => open[i] == 1).Min();
            double left = scores.Where((_, i) => open[i] == 0).Max();
            Assert.That(least, Is.GreaterThanOrEqualTo(left * (1 - 1e-5)));
        }
    }

    [Test]
    public void ComposableSftKeepsTheEntriesThatChangedMost()
    {
        using Adapter adapter = Attach("composable-sft", Options with { Rank = 1 }, ("first", "0.5"));
        adapter.Parameters.EnableGradients();
        TestAdapters.Randomize(adapter, 3);
        float[][] changes = [.. adapter.Modules.Select(module => module.Factors["delta"].Master.ToArray())];
        adapter.AfterUpdate(2, 4);
        foreach ((AdaptedModule module, float[] change) in adapter.Modules.Zip(changes))
        {
            float[] open = module.Factors["sft_open"].Master.ToArray();
            int count = module.Shape.Out + module.Shape.In;
            IEnumerable<int> expected = Enumerable
                .Range(0, change.Length)
                .OrderByDescending(i => Math.Abs(change[i]))
                .Take(count)
                .Order();
            Tensor gradient = module.Factors["delta"].Gradient!;
            gradient.CopyFrom(change);
            Assert.Multiple(() =>
            {
                Assert.That(Enumerable.Range(0, open.Length).Where(i => open[i] == 1), Is.EqualTo(expected));
                Assert.That(module.Factors["delta"].Master.ToArray(), Is.All.Zero, "it goes back");
            });
        }

        adapter.BeforeUpdate(3, 4);
        foreach ((AdaptedModule module, float[] change) in adapter.Modules.Zip(changes))
        {
            float[] open = module.Factors["sft_open"].Master.ToArray();
            Assert.That(
                module.Factors["delta"].Gradient!.ToArray(),
                Is.EqualTo(change.Select((value, i) => value * open[i]))
            );
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

    private Dictionary<string, float[]> Gradients(Adapter adapter, string factor)
    {
        adapter.Parameters.EnableGradients();
        using BatchTensors tensors = new(Device, Batch.Create(TinyModels.Records(4, Model.Config, new Random(7)), 0));
        using Tape tape = new(Device);
        using Tensor loss = Model.Loss(tape, tensors, 1);
        tape.Backward();
        return adapter.Modules.ToDictionary(
            module => module.Shape.Name,
            module => module.Factors[factor].Gradient!.ToArray()
        );
    }

    private static double Nuclear(ModuleShape shape, int[] places, double[] values)
    {
        var change = new Dense(shape.Out, shape.In);
        for (int k = 0; k < places.Length; k++)
            change[places[k] / shape.In, places[k] % shape.In] = values[k];
        return JacobiSvd.Of(change).Values.Sum();
    }

    private sealed class AtSteps(Action note, Action evaluated) : ITrainerCallback
    {
        public void OnStepEnd(int step, bool isLast) => note();

        public void OnEvaluation(int step, EvaluationResult result) => evaluated();
    }

    private Dense Base(AdaptedModule module) =>
        Dense.Of(
            module.Shape.Out,
            module.Shape.In,
            Array.ConvertAll(Model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray(), value => (double)value)
        );

    private static int[] Places(AdaptedModule module) => module.Form.Entries[0].Index.ToInt32Array();

    private static string Parent(string name) => name[..name.LastIndexOf('.')];

    /// <summary>The channels that a factor of ones and zeros picks.</summary>
    private static int[] Selected(AdaptedModule module, string factor, int count, bool asRows)
    {
        Tensor selector = module.Factors[factor].Master;
        float[] values = selector.ToArray();
        int columns = selector.Dim(1);
        Assert.That(values.Count(value => value == 1), Is.EqualTo(count));
        Assert.That(values.Count(value => value == 0), Is.EqualTo(values.Length - count));
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                    asRows
                        ? Array.IndexOf(values, 1, i * columns, columns) - i * columns
                        : Enumerable.Range(0, selector.Dim(0)).Single(row => values[row * columns + i] == 1)
                ),
        ];
    }
}
