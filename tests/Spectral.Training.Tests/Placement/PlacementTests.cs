using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Placement;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Placement;

/// <summary>Each placement method, against its formula in double on a small model with odd sizes.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PlacementTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rank = 2;
    private const int PerBatch = 3;
    private const double Tolerance = 5e-5; // F32 sums over a few dozen tokens through five layers

    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 5, IntermediateSize = 11 };
    private static readonly EncodedRecord[] Records = TinyModels.Records(7, Config, new Random(11));
    private static readonly EncodedRecord[] Validation = TinyModels.Records(5, Config, new Random(12));

    [Test]
    public void HiddenMeansAreThoseOfAllTokens([Values(1, 3)] int batch)
    {
        double[][] actual = new ModelCalibration(Model(), Records, batch).HiddenMeans();
        double[][] expected = HiddenMeans();
        for (int layer = 0; layer < Config.Layers; layer++)
            Assert.That(actual[layer], Is.EqualTo(expected[layer]).Within(Tolerance), $"layer {layer}");
    }

    [TestCase(2)]
    [TestCase(3)]
    [TestCase(4)]
    public void RdpAdaptsTheLayersWhereThePathBends(int count)
    {
        // By hand: the ends, then the farthest from their segment, then the farthest from its two parts.
        double[][] path = HiddenMeans();
        List<int> kept = [0, path.Length - 1];
        while (kept.Count < count)
        {
            kept.Add(
                Enumerable
                    .Range(0, path.Length)
                    .Except(kept)
                    .MaxBy(i =>
                        FromSegment(path[i], path[kept.Where(k => k < i).Max()], path[kept.Where(k => k > i).Min()])
                    )
            );
        }
        PlacementResult placed = Place("rdp", ("layers", count));
        foreach (PlacedModule module in placed.Modules)
            Assert.That(module.Rank, Is.EqualTo(kept.Contains(DepthOf(module)) ? Rank : 0), module.Module.Name);
    }

    [Test]
    public void SquaredGradientsAreSquaredByBatch()
    {
        CausalLanguageModel model = Model();
        CausalLanguageModel trained = Keep(TinyModels.Trainable(model.Config, Device));
        trained.Trainable!.EnableGradients();
        string[] names = [.. model.Linears.Select(linear => linear.Name)];
        double[][] expected = [.. model.Linears.Select(linear => new double[linear.Out * linear.In])];
        EncodedRecord[][] batches = [.. Records.Chunk(PerBatch)];
        double[][] before = [.. expected.Select(values => new double[values.Length])];
        foreach (EncodedRecord[] records in batches)
        {
            using BatchTensors tensors = new(Device, Batch.Create(records));
            using Tape tape = new(Device);
            using Tensor loss = trained.Loss(tape, tensors, 1f / tensors.Source.LossTokens / batches.Length);
            tape.Backward();
            for (int i = 0; i < names.Length; i++)
            {
                // The gradients of the batches add up.
                float[] sum = trained.Linears[i].Weight.Gradient!.ToArray();
                for (int j = 0; j < sum.Length; j++)
                {
                    expected[i][j] += Math.Pow(sum[j] - before[i][j], 2);
                    before[i][j] = sum[j];
                }
            }
        }
        float[][] actual = Values(new ModelCalibration(model, Records, PerBatch).SquaredGradients(names));
        for (int i = 0; i < names.Length; i++)
            VerifyGradient(actual[i], expected[i], Tolerance, names[i]);
    }

    [TestCase(1)]
    [TestCase(150)]
    [TestCase(700)]
    public void SptCountsTheMostSensitiveWeights(int budget)
    {
        const double alpha = 3;
        CausalLanguageModel model = Model();
        string[] names = [.. model.Linears.Select(linear => linear.Name)];
        float[][] squares = Values(new ModelCalibration(model, Records, PerBatch).SquaredGradients(names));
        float threshold = squares.SelectMany(values => values).OrderDescending().ElementAt(budget - 1);
        PlacementResult placed = Place("spt", model, budget, ("alpha", alpha));
        int[] counts = [.. squares.Select(values => values.Count(value => value >= threshold))];
        Assert.That(counts.Sum(), Is.EqualTo(budget), "no two weights are equally sensitive");
        foreach ((PlacedModule module, int count) in placed.Modules.Zip(counts))
        {
            bool adapted = count >= Rank * (module.Module.Out + module.Module.In) / alpha;
            Assert.That(module.Score, Is.EqualTo(count), module.Module.Name);
            Assert.That(module.Rank, Is.EqualTo(adapted ? Rank : 0), module.Module.Name);
            Assert.That(module.Entries, Is.EqualTo(adapted ? 0 : count), module.Module.Name);
            Assert.That(
                module.Trainable,
                Is.EqualTo(adapted ? Rank * (module.Module.Out + module.Module.In) : count),
                module.Module.Name
            );
        }
        if (budget == 700)
            Assert.That(placed.Modules.Count(module => module.Rank > 0), Is.InRange(1, placed.Modules.Count - 1));
    }

    [Test]
    public void OfEqualValuesTheFirstAreTheMostSensitive()
    {
        var sensitive = new MostSensitive(4);
        sensitive.Add(0, [1, 3, 1]);
        sensitive.Add(1, [1, 1, 1, 1, 1, 1, 1, 1]);
        sensitive.Add(2, [2, 1]);
        Assert.That(sensitive.Counts(3), Is.EqualTo(new[] { 3, 0, 1 }));
    }

    [TestCase(null)]
    [TestCase(9L)]
    public void GistGivesRanksToTheDirectionsOfTheValidationGradient(long? budget)
    {
        CausalLanguageModel model = Model();
        string[] names = [.. model.Linears.Select(linear => linear.Name)];
        Dense[] validation = Gradients(model, Validation, names);
        Dense[] training = Gradients(model, Records, names);
        const int most = 3; // rho 1.5
        List<(double Score, int Layer)> scores = [];
        for (int layer = 0; layer < names.Length; layer++)
        {
            (Dense u, double[] values, Dense v) = JacobiSvd.Of(validation[layer]);
            for (int i = 0; i < most; i++)
            {
                double moved = 0;
                for (int row = 0; row < u.Rows; row++)
                {
                    for (int column = 0; column < v.Rows; column++)
                        moved += u[row, i] * training[layer][row, column] * v[column, i];
                }
                scores.Add((values[i] * moved, layer));
            }
        }
        int[] expected = new int[names.Length];
        foreach (
            (double _, int layer) in scores
                .Where(score => score.Score > 0)
                .OrderByDescending(score => score.Score)
                .Take((int)(budget ?? Rank * names.Length))
        )
        {
            expected[layer]++;
        }

        PlacementResult placed = Place("gist", model, budget, ("rho", 1.5));
        Assert.That(placed.Modules.Select(module => module.Rank), Is.EqualTo(expected));
        for (int layer = 0; layer < names.Length; layer++)
        {
            double sum = scores.Where(score => score.Layer == layer).Sum(score => score.Score);
            Assert.That(placed.Modules[layer].Score, Is.EqualTo(sum).Within(1e-4 * Math.Abs(sum) + 1e-7));
        }
    }

    [Test]
    public void SpafitHasThreeStrata()
    {
        PlacementResult placed = Place("spafit", ("frozen", 1), ("biases", 2));
        foreach (PlacedModule module in placed.Modules)
        {
            int depth = DepthOf(module);
            bool attention = module.Module.Name.Contains("self_attn");
            Assert.That(module.Rank, Is.EqualTo(depth >= 3 && attention ? Rank : 0), module.Module.Name);
            Assert.That(module.TrainsBias, Is.EqualTo(depth >= 1 && module.Rank == 0), module.Module.Name);
        }
        Assert.That(placed.Notes, Has.One.Contains("train their bias"));
        Assert.That(
            placed.Biases,
            Is.EqualTo(placed.Modules.Where(module => module.TrainsBias).Select(module => module.Module.Name))
        );
        Assert.That(Place("spafit", ("lora", 1)).Modules.Count(module => module.Rank > 0), Is.EqualTo(7));
        Assert.That(
            () => Place("spafit", ("frozen", 3), ("biases", 2)),
            Throws.TypeOf<InputException>().With.Message.Contains("third stratum")
        );
    }

    /// <summary>What trains is the second stratum's biases and the third's, and its LoRA; nothing else moves.</summary>
    [Test]
    public void AnAdapterTrainsTheStrataOfSpafit()
    {
        CausalLanguageModel model = Model();
        PlacementResult placed = Place("spafit", ("frozen", 1), ("biases", 2));
        AdapterOptions options = new()
        {
            Rank = Rank,
            RankPattern = placed.RankPattern,
            Bias = AdapterBias.All,
            BiasModules = placed.Biases,
        };
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "spafit")).FullName;
        float[] logits;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options))
        {
            Assert.That(adapter.TrainableCount, Is.EqualTo(placed.Trainable));
            string[] expected =
            [
                .. placed
                    .Modules.Where(module => module.Rank > 0)
                    .Select(module => $"{module.Module.Name}.lora_A.weight"),
                .. placed
                    .Modules.Where(module => module.Rank > 0)
                    .Select(module => $"{module.Module.Name}.lora_B.weight"),
                .. placed.Modules.Where(module => module.TrainsBias).Select(module => $"{module.Module.Name}.bias"),
            ];
            Assert.That(adapter.Parameters.Parameters.Select(parameter => parameter.Name), Is.EquivalentTo(expected));
            TestAdapters.Randomize(adapter, 3);
            logits = Losses.Logits(model, Batch.Create(Records, 0));
            adapter.Save(directory);
        }

        using var loaded = Adapter.Load(model, directory);
        using var reader = new AdapterReader(directory, model.Config);
        Assert.Multiple(() =>
        {
            Assert.That(Losses.Logits(model, Batch.Create(Records, 0)), Is.EqualTo(logits));
            Assert.That(loaded.TrainableCount, Is.EqualTo(placed.Trainable), "the others stay frozen");
            Assert.That(loaded.Options.BiasModules, Is.EquivalentTo(placed.Biases));
            Assert.That(reader.Warnings, Is.Empty);
        });
        loaded.Dispose();
        Assert.That(
            () =>
                Adapter.Attach(model, AdapterMethods.Find("lora"), options with { BiasModules = ["layers.9.q_proj"] }),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("layers.9.q_proj")
                .And.Message.Contains("expected one of")
        );
    }

    [TestCase(0, 2)]
    [TestCase(1, 1)]
    [TestCase(5, 5)]
    public void LastLayersAreTheLast(int count, int adapted)
    {
        foreach (PlacedModule module in Place("tap-slf", ("layers", count)).Modules)
            Assert.That(module.Rank, Is.EqualTo(DepthOf(module) >= 5 - adapted ? Rank : 0), module.Module.Name);
    }

    [Test]
    public void AnAdapterHasTheRanksThatWerePlaced()
    {
        CausalLanguageModel model = Model();
        PlacementResult placed = Place("gist", model, 9, ("rho", 1.5));
        AdapterOptions options = new() { Rank = Rank, RankPattern = placed.RankPattern };
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options);
        Assert.That(
            adapter.Modules.Select(module => (module.Shape.Name, module.Options.Rank)),
            Is.EqualTo(
                placed.Modules.Where(module => module.Rank > 0).Select(module => (module.Module.Name, module.Rank))
            )
        );
        Assert.That(adapter.TrainableCount, Is.EqualTo(placed.Trainable));
    }

    [Test]
    public void HiddenStatesThatAreNotFiniteAreNamed()
    {
        CausalLanguageModel model = Model();
        Linear output = model.Linears.First(linear => linear.Name == "model.layers.2.self_attn.o_proj");
        output.Weight.Value.CopyFrom([.. Enumerable.Repeat(float.NaN, (int)output.Weight.Value.Count)]);
        Assert.That(
            () => Place("rdp", model, null),
            Throws.TypeOf<InputException>().With.Message.Contains("decoder layer 2")
        );
        Assert.That(model.AfterLayer, Is.Null);
    }

    [Test]
    public void MistakesAreNamed()
    {
        PlacementMethod last = PlacementMethods.Find("tap-slf");
        Assert.Multiple(() =>
        {
            Assert.That(
                () => PlacementMethods.Find("nowhere"),
                Throws.TypeOf<InputException>().With.Message.Contains("nowhere").And.Message.Contains("rdp")
            );
            Assert.That(
                () => Placer.Place(last, Config, new PlacementOptions { Rank = 0 }),
                Throws.TypeOf<InputException>().With.Message.Contains("rank 0")
            );
            Assert.That(
                () => Placer.Place(last, Config, new PlacementOptions { TargetModules = ["q_proj", "lm_head"] }),
                Throws.TypeOf<InputException>().With.Message.Contains("lm_head")
            );
            Assert.That(
                () => Place("tap-slf", ("layers", 6)),
                Throws.TypeOf<InputException>().With.Message.Contains("5 layers")
            );
            Assert.That(
                () => Place("tap-slf", ("frozen", 6)),
                Throws.TypeOf<InputException>().With.Message.Contains("the settings of tap-slf")
            );
            Assert.That(
                () => Place("spt", Model(), 1_000_000),
                Throws.TypeOf<InputException>().With.Message.Contains("budget 1000000")
            );
        });
    }

    private CausalLanguageModel Model() => Keep(TinyModels.Frozen(Config, Device, Folder));

    private PlacementResult Place(string name, params (string Name, double Value)[] settings) =>
        Place(name, PlacementMethods.Find(name).RunsModel ? Model() : null, null, settings);

    private static PlacementResult Place(
        string name,
        CausalLanguageModel? model,
        long? budget,
        params (string Name, double Value)[] settings
    ) =>
        Placer.Place(
            PlacementMethods.Find(name),
            Config,
            new PlacementOptions
            {
                Rank = Rank,
                Budget = budget,
                Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
            },
            model is null ? null : new PlacementData(model, Records, Validation, PerBatch)
        );

    private double[][] HiddenMeans()
    {
        CausalLanguageModel model = Model();
        double[][] sums = [.. Enumerable.Range(0, Config.Layers).Select(_ => new double[Config.HiddenSize])];
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            AfterLayer = (layer, rows) =>
            {
                foreach (double[] row in rows)
                    sums[layer] = [.. sums[layer].Zip(row, (sum, value) => sum + value)];
            },
        };
        foreach (EncodedRecord record in Records)
            reference.Logits(record.Tokens);
        int tokens = Records.Sum(record => record.Tokens.Length);
        return [.. sums.Select(sum => sum.Select(value => value / tokens).ToArray())];
    }

    private static double FromSegment(double[] point, double[] from, double[] to)
    {
        double[] along = [.. to.Zip(from, (end, start) => end - start)];
        double[] offset = [.. point.Zip(from, (at, start) => at - start)];
        double share = Math.Clamp(along.Zip(offset, (a, b) => a * b).Sum() / along.Sum(a => a * a), 0, 1);
        return Math.Sqrt(offset.Zip(along, (o, a) => Math.Pow(o - share * a, 2)).Sum());
    }

    private static int DepthOf(PlacedModule module) => int.Parse(module.Module.Name.Split('.')[2]);

    private static Dense[] Gradients(CausalLanguageModel model, EncodedRecord[] records, string[] names) =>
        [
            .. new ModelCalibration(model, records, PerBatch)
                .Gradients(names)
                .Select(gradient =>
                {
                    using (gradient)
                    {
                        float[] values = gradient.ToArray();
                        int columns = gradient.Dim(1);
                        return Dense.Of(gradient.Dim(0), columns, (i, j) => values[i * columns + j]);
                    }
                }),
        ];

    private static float[][] Values(IEnumerable<Tensor> tensors) =>
        [
            .. tensors.Select(tensor =>
            {
                using (tensor)
                    return tensor.ToArray();
            }),
        ];
}
