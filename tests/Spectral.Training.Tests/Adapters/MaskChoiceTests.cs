using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
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

    [Test]
    public void SmtTakesTheBlocksWithTheLargestMean([Values(1, 3)] int blocks)
    {
        foreach (
            (AdaptedModule module, double[] gradient) in Attached(
                "smt",
                data => data.Gradients,
                ("block-size", "2"),
                ("blocks", $"{blocks}")
            )
        )
        {
            int columns = module.Shape.In;
            IEnumerable<int[]> all =
                from row in Enumerable.Range(0, module.Shape.Out / 2)
                from column in Enumerable.Range(0, columns / 2)
                select Enumerable.Range(0, 4).Select(i => (2 * row + i / 2) * columns + 2 * column + i % 2).ToArray();
            IEnumerable<int> expected = all.OrderByDescending(block => Math.Abs(block.Sum(place => gradient[place])))
                .Take(blocks)
                .SelectMany(block => block)
                .Order();
            Assert.That(Places(module), Is.EqualTo(expected));
        }
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

    /// <summary>Entries leave and come back; what the layer computes stays, and so do the moments of those that stay.</summary>
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

    [Test]
    public void MosaTrainsOnePartAStepAndEndsWithAll()
    {
        using Adapter adapter = Attach("mosa", Options with { Rank = 4 }, ("parts", "2"));
        List<float[]> active = [];
        using Trainer trainer = new(
            Model,
            new TrainerOptions
            {
                Steps = 12,
                Batch = 4,
                LearningRate = 1e-3,
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(8, Model.Config, new Random(7)), null, [new AtSteps(Note)]);
        float scale = (float)adapter.Options.Scale;
        float[][] parts =
        [
            [scale, 0, scale, 0],
            [0, scale, 0, scale],
        ];
        Assert.Multiple(() =>
        {
            Assert.That(active[..^1], Is.All.AnyOf(parts[0], parts[1]));
            Assert.That(active[..^1].Select(part => part[0]).Distinct().Count(), Is.EqualTo(2), "both occur");
            Assert.That(active[^1], Is.All.EqualTo(scale));
        });

        void Note() => active.Add(adapter.Modules[0].Factors["mosa_active"].Master.ToArray());
    }

    private sealed class AtSteps(Action note) : ITrainerCallback
    {
        public void OnStepEnd(int step, bool isLast) => note();
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
