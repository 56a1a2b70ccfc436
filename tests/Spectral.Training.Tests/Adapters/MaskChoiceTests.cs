using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Which entries, blocks and channels methods choose, beside plain loops in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MaskChoiceTests(DeviceKind kind) : MaskTest(kind)
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

    /// <summary>
    /// After the first part nothing of the weights' size is left: a place, a value and two moments for each entry that
    /// is kept, and row, column and value in the file.
    /// </summary>
    [Test]
    public void ComposableSftHoldsTheEntriesThatChangedMostAlone()
    {
        using Adapter adapter = Attach("composable-sft", Options with { Rank = 1 }, ("first", "0.5"));
        TestAdapters.Randomize(adapter, 3);
        float[][] changes = [.. adapter.Modules.Select(module => module.Factors["delta"].Master.ToArray())];
        Assert.That(adapter.KeepEntries(1, 4), Is.False);
        Assert.That(adapter.KeepEntries(2, 4), Is.True);
        Assert.That(adapter.KeepEntries(2, 4), Is.False, "they are chosen once");
        int entries = adapter.Modules.Sum(module => module.Shape.Out + module.Shape.In);
        foreach ((AdaptedModule module, float[] change) in adapter.Modules.Zip(changes))
        {
            IEnumerable<int> expected = Enumerable
                .Range(0, change.Length)
                .OrderByDescending(i => Math.Abs(change[i]))
                .Take(module.Shape.Out + module.Shape.In)
                .Order();
            Assert.That(Places(module), Is.EqualTo(expected));
            Assert.That(module.Factors[SparseMasks.Values].Master.ToArray(), Is.All.Zero, "it goes back");
        }

        using Optimizer optimizer = OptimizerMethods.Find("adamw").Create(adapter.Parameters, new AdamWOptions());
        long padding = 64L * adapter.Modules.Count * 3 * sizeof(float);
        Assert.That(adapter.Parameters.Count, Is.EqualTo(entries));
        Assert.That(
            adapter.Frozen.Sum(parameter => parameter.Bytes)
                + adapter.Parameters.Masters.Sum(master => master.Bytes)
                + optimizer.StateBytes,
            Is.InRange(16L * entries, (16L * entries) + padding)
        );

        TestAdapters.Randomize(adapter, 4);
        float[][] merged = [.. adapter.Modules.Select(module => module.Core.MergedWeight())];
        string folder = Path.Combine(Folder.Path, "adapter");
        adapter.Save(folder);
        adapter.Dispose();
        using (var file = SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors")))
            Assert.That(file.Tensors.Values.Sum(tensor => tensor.Bytes), Is.EqualTo(12L * entries));
        using var loaded = Adapter.Load(Model, folder);
        Assert.That(loaded.Modules.Select(module => module.Core.MergedWeight()), Is.EqualTo(merged));
    }

    [Test]
    public void EntriesThatNobodyChoseAreRefused([Values("composable-sft", "grafting")] string method) =>
        Assert.That(
            () => Attach(method, Options, ("entries", "5")),
            Throws.TypeOf<InputException>().With.Message.EqualTo("setting entries: training sets it, expected none")
        );
}
