using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// Methods for one task after another: what they protect does not move in 100 steps of AdamW with weight decay. All is
/// computed again in double from the values before and after.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ContinualMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Protected = 1e-6;

    private static readonly AdapterOptions Options = new()
    {
        Rank = 3,
        Seed = 5,
        TargetModules = ["q_proj", "k_proj", "down_proj", "up_proj"],
    };

    private CausalLanguageModel Model { get; set; } = null!;

    [SetUp]
    public void Load() => Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    [TestCase(0.5)]
    [TestCase(3)]
    public void OsfMovesNoLeadingSingularVector(double kept)
    {
        Dictionary<string, Dense> before = Weights();
        using Adapter adapter = Attach("osf", ("effective-rank", kept));
        Train(100);
        foreach (AdaptedModule module in adapter.Modules)
        {
            Dense w = before[module.Shape.Name];
            (Dense u, double[] values, Dense v) = JacobiSvd.Of(w);
            int high = kept < 1 ? (int)(values.Length * kept) : (int)kept;
            Dense change = Of(module.Core.MergedWeight(), w) - w;
            Assert.That(Norm(change), Is.GreaterThan(1e-2 * Norm(w)), "the others train");
            Assert.That(Norm(Columns(u, high).Transposed * change), Is.LessThan(Protected * Norm(w)));
            Assert.That(Norm(change * Columns(v, high)), Is.LessThan(Protected * Norm(w)));
        }
    }

    /// <summary>PEFT's formula: W + U diag(s) V − U₀ diag(s₀) V₀, of the tensors that its files have.</summary>
    [Test]
    public void AnOsfFolderMeansWhatItMeansInPeft()
    {
        Dictionary<string, Dense> before = Weights();
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "osf")).FullName;
        using (Adapter adapter = Attach("osf", ("effective-rank", 4)))
        {
            Train(5);
            adapter.Save(directory);
        }

        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        Assert.That(
            file.Tensors.Keys.Select(name => name.Split(".proj.")[^1].Split("_proj.")[^1]).Distinct(),
            Is.EquivalentTo(new[] { "osf_svd_params.U_low", "osf_svd_params.S_low", "osf_svd_params.V_low" })
        );
        using var loaded = Adapter.Load(Model, directory);
        foreach (AdaptedModule module in loaded.Modules)
        {
            Dense w = before[module.Shape.Name];
            (Dense u0, double[] s0, Dense v0) = JacobiSvd.Of(w);
            Dense start = u0 * Dense.Diagonal([.. s0.Select((value, i) => i < 4 ? 0 : value)]) * v0.Transposed;
            int low = s0.Length - 4;
            var u = Dense.Of(w.Rows, low, Stored(file, module, "U_low"));
            var v = Dense.Of(low, w.Columns, Stored(file, module, "V_low"));
            Dense expected = w + (u * Dense.Diagonal(Stored(file, module, "S_low")) * v) - start;
            Assert.That(
                module.Core.MergedWeight(),
                Is.EqualTo(expected.Values.Select(value => (float)value)).Within(2e-6f)
            );
        }
    }

    /// <summary>PEFT searches a pattern anywhere in a name; the tensors say what came of it.</summary>
    [Test]
    public void AnOsfFolderWithPatternsOfPeftIsRead()
    {
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "osf")).FullName;
        Dictionary<string, float[]> merged;
        using (Adapter adapter = Attach("osf", ("effective-rank", 5)))
        {
            Train(5);
            merged = adapter.Modules.ToDictionary(module => module.Shape.Name, module => module.Core.MergedWeight());
            adapter.Save(directory);
        }

        string path = Path.Combine(directory, "adapter_config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        config["effective_rank"] = null;
        config["rank_pattern"] = new JsonObject { ["layers.0.|layers.1."] = 5 };
        File.WriteAllText(path, config.ToJsonString());
        using var loaded = Adapter.Load(Model, directory);
        foreach (AdaptedModule module in loaded.Modules)
        {
            Assert.That(
                module.Core.MergedWeight(),
                Is.EqualTo(merged[module.Shape.Name]).Within(1e-6f),
                module.Shape.Name
            );
        }
    }

    [Test]
    public void OsfKeepsSomeTripletsAndTrainsSome([Values(1e-6, 8)] double kept) =>
        Assert.That(
            () => Attach("osf", ("effective-rank", kept)),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("effective-rank")
                .And.Message.Contains("expected 1 to")
        );

    /// <summary>
    /// Three tasks: D of the later ones has nothing in the history, which is orthonormal and has the main directions of
    /// each earlier change.
    /// </summary>
    [Test]
    public void CosoChangesNothingInTheHistoryOfEarlierTasks()
    {
        AdapterMethod method = AdapterMethods.Find("coso");
        AdapterOptions options = With(("period", 7), ("sketch", 2), ("energy", 0.9));
        string? previous = null;
        Dictionary<string, Dense> before = Weights();
        for (int task = 1; task <= 3; task++)
        {
            AdapterOptions now = previous is null ? options : options.After(method, previous);
            using var adapter = Adapter.Attach(Model, method, now);
            foreach (AdaptedModule module in adapter.Modules)
            {
                Assert.That(
                    module.Core.MergedWeight(),
                    Is.EqualTo(before[module.Shape.Name].Values.Select(value => (float)value)).Within(1e-6f),
                    "a task begins where the one before ended"
                );
            }

            Train(task == 1 ? 20 : 100, task);
            foreach (AdaptedModule module in adapter.Modules)
            {
                Dense w = before[module.Shape.Name];
                Dense after = Of(module.Core.MergedWeight(), w);
                Assert.That(Norm(after - w), Is.GreaterThan(1e-2 * Norm(w)));
                if (task > 1)
                    VerifyHistory(Of(module, "coso_history", w.Rows), after - w, Norm(after));
                before[module.Shape.Name] = after;
            }

            previous = Directory.CreateDirectory(Path.Combine(Folder.Path, $"task-{task}")).FullName;
            adapter.Save(previous);
        }
    }

    [Test]
    public void CosoContinuesCosoOnly()
    {
        string lora = Directory.CreateDirectory(Path.Combine(Folder.Path, "lora")).FullName;
        using (Adapter adapter = Attach("lora"))
            adapter.Save(lora);
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Options.After(AdapterMethods.Find("coso"), lora),
                Throws.TypeOf<InputException>().With.Message.Contains("an adapter of lora, expected one of coso")
            );
            Assert.That(
                () => Attach("coso", ("previous-rank", 3)),
                Throws.TypeOf<InputException>().With.Message.Contains("expected an adapter of the tasks before")
            );
        });
    }

    /// <summary>
    /// Inputs that lie in a known subspace: in double, the layer does on it what it did. Its moment is exact, so that
    /// only rounding is left.
    /// </summary>
    [Test]
    public void KoreMovesNoDirectionOfTheInputsThatItKeeps()
    {
        const int Used = 4;
        Dictionary<string, Dense> before = Weights();
        var random = new Random(17);
        var directions = AdapterTargets
            .Of(TinyModels.Llama, Options)
            .ToDictionary(layer => layer.Name, layer => JacobiSvd.Of(Random(random, layer.In, Used)).U);
        using var adapter = Adapter.Attach(
            Model,
            AdapterMethods.Find("kore"),
            Options,
            new PlantedInputs(Device, directions)
        );
        Train(100);
        foreach (AdaptedModule module in adapter.Modules)
        {
            Dense w = before[module.Shape.Name];
            Dense change = Of(module.Core.MergedWeight(), w) - w;
            Assert.That(Norm(change), Is.GreaterThan(1e-2 * Norm(w)), "elsewhere it learns");
            Assert.That(Norm(change * directions[module.Shape.Name]), Is.LessThan(Protected * Norm(w)));
        }
    }

    /// <summary>
    /// On inputs with the second moment Σ, the squares of ΔW·x have the mean tr(ΔW Σ ΔWᵀ), which is at most the
    /// threshold times the largest eigenvalue times ‖ΔW‖². Six tokens leave half of the directions unused.
    /// </summary>
    [Test]
    public void KoreChangesNothingOnTheInputsThatItKeeps()
    {
        Dictionary<string, Dense> before = Weights();
        var calibration = new ModelCalibration(Model, TinyModels.Records(1, TinyModels.Llama, new Random(3), 6), 1);
        string[] names = [.. AdapterTargets.Of(TinyModels.Llama, Options).Select(layer => layer.Name)];
        var moments = new Dictionary<string, Dense>();
        foreach ((string name, Tensor moment) in names.Zip(calibration.InputSecondMoments(names)))
        {
            moments[name] = Dense.Of(moment.Dim(0), moment.Dim(0), Doubles(moment));
            moment.Dispose();
        }

        using var adapter = Adapter.Attach(Model, AdapterMethods.Find("kore"), Options, calibration);
        foreach (AdaptedModule module in adapter.Modules)
            VerifyStart(module, before[module.Shape.Name], moments[module.Shape.Name]);
        var frozen = adapter.Modules.ToDictionary(
            module => module.Shape.Name,
            module => module.Factors["lora_A.weight"].Master.ToArray()
        );
        Train(100);
        foreach (AdaptedModule module in adapter.Modules)
        {
            (Dense w, Dense moment) = (before[module.Shape.Name], moments[module.Shape.Name]);
            Dense change = Of(module.Core.MergedWeight(), w) - w;
            Assert.That(Norm(change), Is.GreaterThan(1e-2 * Norm(w)), "elsewhere it learns");
            (_, double[] values, _) = JacobiSvd.Of(moment);
            Dense used = Used(module.Shape.In, moment, values.Count(value => value > 1e-6 * values[0]));
            Assert.That(Norm(change * used), Is.LessThan(Protected * Norm(w)), "the directions that count as used");
            Assert.That(
                Trace(change * moment * change.Transposed),
                Is.LessThan(1.01e-6 * values[0] * Norm(change) * Norm(change))
            );
            Assert.That(
                module.Factors["lora_A.weight"].Master.ToArray(),
                Is.EqualTo(frozen[module.Shape.Name]),
                "so that nothing else can move"
            );
        }
    }

    /// <summary>
    /// With room for all of the earlier change a task begins exactly with it, with less room with its best part; and
    /// the subspace does not grow beyond that, however many tasks there are.
    /// </summary>
    [TestCase(32, 3)]
    [TestCase(2, 2)]
    public void ShareBeginsWithTheBestPartOfTheEarlierChange(int frame, int rank)
    {
        AdapterMethod method = AdapterMethods.Find("share");
        Dictionary<string, Dense> before = Weights();
        var changes = new Dictionary<string, Dense>();
        string previous = Directory.CreateDirectory(Path.Combine(Folder.Path, "first")).FullName;
        using (var first = Adapter.Attach(Model, AdapterMethods.Find("lora"), Options))
        {
            Train(10);
            foreach (AdaptedModule module in first.Modules)
            {
                Dense w = before[module.Shape.Name];
                changes[module.Shape.Name] = Of(module.Core.MergedWeight(), w) - w;
            }
            first.Save(previous);
        }

        AdapterOptions options = With(("frame", frame)).After(method, previous);
        using (var second = Adapter.Attach(Model, method, options))
        {
            foreach (AdaptedModule module in second.Modules)
            {
                Dense w = before[module.Shape.Name];
                (Dense u, double[] values, Dense v) = JacobiSvd.Of(changes[module.Shape.Name]);
                Dense best = u * Dense.Diagonal([.. values.Select((value, i) => i < rank ? value : 0)]) * v.Transposed;
                Dense found = Of(module.Core.MergedWeight(), w) - w;
                Assert.That(Norm(found - best), Is.LessThan(1e-5 * Norm(w)));
                Assert.That(module.Form.Rank, Is.EqualTo(rank + Options.Rank));
            }
            Train(10);
            second.Save(Directory.CreateDirectory(previous = Path.Combine(Folder.Path, "second")).FullName);
        }

        AdapterOptions third = With(("frame", frame)).After(method, previous);
        Assert.That(third.Settings["previous-rank"], Is.EqualTo(Math.Min(frame, rank + Options.Rank)));
    }

    [TestCase(1, 7, 1)]
    [TestCase(33, 5, 4)]
    [TestCase(7, 33, 7)]
    public void AProjectionLeavesRoundingOnly(int length, int others, int directions)
    {
        var random = new Random(length);
        Dense basis = JacobiSvd.Of(Random(random, Math.Max(length, directions), directions)).U;
        Dense x = Random(random, length, others);
        using var q = Tensor.From(Device, Floats(basis), (length, directions));
        using var columns = Tensor.From(Device, Floats(x), (length, others));
        Projection.RemoveColumns(columns, q);
        Dense expected = x - (basis * (basis.Transposed * x));
        Assert.That(columns.ToArray(), Is.EqualTo(Floats(expected)).Within(1e-6f));
        Dense left = basis.Transposed * Dense.Of(length, others, Doubles(columns));
        Assert.That(Norm(left), Is.LessThan(Protected * Norm(x)));

        using var rows = Tensor.From(Device, Floats(x.Transposed), (others, length));
        using var qt = Tensor.From(Device, Floats(basis.Transposed), (directions, length));
        Projection.RemoveRows(rows, qt);
        Assert.That(rows.ToArray(), Is.EqualTo(Floats(expected.Transposed)).Within(1e-6f));
    }

    /// <summary>s·B·A is the best part of rank 3 of W N Nᵀ, N the directions of no moment.</summary>
    private static void VerifyStart(AdaptedModule module, Dense w, Dense moment)
    {
        (_, double[] values, Dense directions) = JacobiSvd.Of(moment);
        var unused = Dense.Of(
            directions.Rows,
            values.Count(value => value <= 1e-6 * values[0]),
            (i, j) => directions[i, directions.Columns - 1 - j]
        );
        (Dense u, double[] sigma, Dense v) = JacobiSvd.Of(w * unused * unused.Transposed);
        Dense best = u * Dense.Diagonal([.. sigma.Select((value, i) => i < 3 ? value : 0)]) * v.Transposed;
        Dense start =
            module.Options.Scale
            * (Of(module, "lora_B.weight", w.Rows) * Of(module, "lora_A.weight", module.Options.Rank));
        Assert.That(start.Values, Is.EqualTo(best.Values).Within(1e-4 * sigma[0]));
    }

    /// <summary>
    /// The directions of the largest moments by the library's own decomposition. Near the threshold, another one finds
    /// others, as their moments differ by no more than the rounding of the largest.
    /// </summary>
    private Dense Used(int size, Dense moment, int count)
    {
        using var tensor = Tensor.From(Device, Floats(moment), (size, size));
        using SvdResult svd = Svd.Compute(tensor, size, SvdMethod.Exact);
        return Dense.Of(count, size, Doubles(svd.Vt)).Transposed;
    }

    private static double Trace(Dense x) => Enumerable.Range(0, x.Rows).Sum(i => x[i, i]);

    private static void VerifyHistory(Dense history, Dense change, double scale)
    {
        Dense gram = history.Transposed * history;
        int directions = 0;
        for (int i = 0; i < gram.Rows; i++)
        {
            if (gram[i, i] > 0.5)
                directions++;
            for (int j = 0; j < gram.Columns; j++)
            {
                double wanted = i == j && gram[i, i] > 0.5 ? 1 : 0;
                Assert.That(gram[i, j], Is.EqualTo(wanted).Within(1e-6));
            }
        }
        Assert.That(directions, Is.Positive);
        Assert.That(Norm(history.Transposed * change), Is.LessThan(Protected * scale));
    }

    private Adapter Attach(string method, params (string Name, double Value)[] settings) =>
        Keep(Adapter.Attach(Model, AdapterMethods.Find(method), With(settings)));

    private static AdapterOptions With(params (string Name, double Value)[] settings) =>
        Options with
        {
            Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
        };

    private void Train(int steps, int data = 31)
    {
        using Trainer trainer = new(
            Model,
            new TrainerOptions
            {
                Steps = steps,
                Batch = 4,
                LearningRate = 1e-2,
                Schedule = ScheduleKind.Constant,
                Optimizer = new AdamWOptions { WeightDecay = 0.1 },
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(8, TinyModels.Llama, new Random(data)));
    }

    private Dictionary<string, Dense> Weights() =>
        Model.Linears.ToDictionary(
            linear => linear.Name,
            linear => Dense.Of(linear.Out, linear.In, Doubles(linear.Weight.Value))
        );

    private static Dense Of(float[] values, Dense like) =>
        Dense.Of(like.Rows, like.Columns, Array.ConvertAll(values, value => (double)value));

    private static Dense Of(AdaptedModule module, string factor, int rows)
    {
        double[] values = Doubles(module.Factors[factor].Master);
        return Dense.Of(rows, values.Length / rows, values);
    }

    private static Dense Columns(Dense x, int count) => Dense.Of(x.Rows, count, (i, j) => x[i, j]);

    private static double Norm(Dense x) => Math.Sqrt(x.Values.Sum(value => value * value));

    private static Dense Random(Random random, int rows, int columns) =>
        Dense.Of(rows, columns, (_, _) => random.NextDouble() - 0.5);

    private static float[] Floats(Dense x) => Array.ConvertAll(x.Values, value => (float)value);

    private static double[] Doubles(Tensor x) => Array.ConvertAll(x.ToArray(), value => (double)value);

    private static double[] Stored(SafetensorsFile file, AdaptedModule module, string leaf) =>
        Array.ConvertAll(
            file[$"base_model.model.{module.Shape.Name}.osf_svd_params.{leaf}"].ToFloats(),
            value => (double)value
        );

    /// <summary>A calibration on inputs whose second moment is the projection on known directions.</summary>
    private sealed class PlantedInputs(Device device, Dictionary<string, Dense> directions) : ICalibration
    {
        public IEnumerable<Tensor> InputSecondMoments(IReadOnlyList<string> modules) =>
            modules.Select(name =>
            {
                Dense moment = directions[name] * directions[name].Transposed;
                return Tensor.From(device, Floats(moment), (moment.Rows, moment.Rows));
            });

        public IEnumerable<Tensor> Gradients(IReadOnlyList<string> modules) => throw new NotSupportedException();

        public IReadOnlyList<InputDirections> InputDirections(
            IReadOnlyList<string> modules,
            int count,
            double similarity,
            bool labelled
        ) => throw new NotSupportedException();
    }
}
