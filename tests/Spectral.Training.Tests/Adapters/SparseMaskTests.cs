using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>What holds for each method that trains single entries of a weight.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SparseMaskTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };

    private static readonly AdapterOptions Options = new()
    {
        Rank = 1,
        Seed = 5,
        TargetModules = ["q_proj", "down_proj"],
    };

    private static string[] Methods() =>
        [
            .. AdapterMethods
                .All.Where(method =>
                    AdaptedModule
                        .Describe(method, Options with { Rank = 8 }, MethodFacts.OneLayer)[0]
                        .Form.Entries.Any(change => change.Values is Factor)
                )
                .Select(method => method.Name),
        ];

    /// <summary>Beside the whole gradient, which the method of whole changes computes.</summary>
    [TestCaseSource(nameof(Methods))]
    public void TheGradientIsThatOfTheWholeWeightAtThePlaces(string name)
    {
        Dictionary<string, float[]> whole = [];
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using (Adapter dense = TestAdapters.Attach(model, AdapterMethods.Find("delta"), Options))
        {
            Backward(model, dense);
            foreach (AdaptedModule module in dense.Modules)
                whole[module.Shape.Name] = module.Factors["delta"].Gradient!.ToArray();
        }

        using Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find(name), Options);
        TestAdapters.OpenMasks(adapter);
        Backward(model, adapter);
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] expected = whole[module.Shape.Name];
            float largest = expected.Max(Math.Abs);
            Assert.That(
                Values(module).Gradient!.ToArray(),
                Is.EqualTo(Places(module).Select(place => expected[place])).Within(1e-5f * largest)
            );
        }
    }

    [TestCaseSource(nameof(Methods))]
    public void TrainingChangesTheEntriesAlone(string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find(name), Options);
        var before = adapter.Modules.ToDictionary(module => module.Shape.Name, module => Base(model, module));
        using Trainer trainer = new(
            model,
            new TrainerOptions
            {
                Steps = 4,
                Batch = 4,
                LearningRate = 1e-2,
                LogEvery = 0,
            }
        );
        trainer.Run(TinyModels.Records(4, Config, new Random(7)));
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] weight = before[module.Shape.Name];
            float[] merged = module.Core.MergedWeight();
            float[] values = Values(module).Master.ToArray();
            float[] expected = [.. weight];
            foreach (SparseChange change in module.Form.Entries)
            {
                foreach ((int place, float value) in change.Index.ToInt32Array().Zip(change.Values.Value.ToArray()))
                {
                    if (place >= 0)
                        expected[place] += value;
                }
            }

            Assert.Multiple(() =>
            {
                Assert.That(Base(model, module), Is.EqualTo(weight), "the base is only read");
                Assert.That(values, Has.Some.Not.Zero);
                Assert.That(merged, Is.EqualTo(expected), "the values, added at their places, and nothing else");
            });
        }
    }

    /// <summary>
    /// Its place, its value and two moments; the gradient of the running step comes on top. One that has left the mask
    /// has its place and its value.
    /// </summary>
    [TestCaseSource(nameof(Methods))]
    public void AnEntryOfOnePercentOfAMatrixCostsSixteenBytes(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        AdaptedModule module = AdaptedModule.Describe(
            method,
            Options with
            {
                Rank = 5,
            },
            [new ModuleShape("layer", 1024, 1024)]
        )[0];
        long entries = module.Form.Entries[0].Places.Shape.Count;
        long room = module.Form.Entries.Skip(1).Sum(kept => kept.Places.Shape.Count);
        long before = Device.Memory.InUse;
        using var factors = new BoundFactors(Device, [module]);
        using var optimizer = new AdamWOptimizer(factors.Trained, new AdamWOptions());
        long gradients = factors.Trained.Gradients.Sum(gradient => gradient.Bytes);
        long taken = Device.Memory.InUse - before - gradients;
        Assert.That(taken, Is.LessThanOrEqualTo(16 * entries + 8 * room + 4096), $"{entries} entries");
    }

    /// <summary>
    /// A folder as PEFT's SHiRA writes it: rows above columns in 32-bit integers, or in floats on Windows.
    /// </summary>
    [Test]
    public void AFolderOfPeftIsRead([Values(StoredType.I32, StoredType.F32)] StoredType type)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        string query = model.Adaptable.First(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal)).Name;
        Linear layer = model.Adaptable.First(linear => linear.Name == query);
        int[] places = [.. Enumerable.Range(0, layer.Out + layer.In).Select(k => 3 * k + 1)];
        float[] values = [.. places.Select(place => place / 64f)];
        WritePeft(query, places, values, layer.In, type);
        float[] expected = layer.Weight.Value.ToArray();
        foreach ((int place, float value) in places.Zip(values))
            expected[place] += value;
        using var adapter = Adapter.Load(model, AdapterPath);
        Assert.Multiple(() =>
        {
            Assert.That(adapter.Method.Name, Is.EqualTo("shira"));
            Assert.That(adapter.Modules[0].Core.MergedWeight(), Is.EqualTo(expected));
        });
        adapter.Save(AdapterPath);
        using var file = SafetensorsFile.Open(Path.Combine(AdapterPath, "adapter_model.safetensors"));
        string key = $"base_model.model.{query}.";
        Assert.Multiple(() =>
        {
            Assert.That(file[key + "shira_indices"].Type, Is.EqualTo(StoredType.I32));
            Assert.That(
                file[key + "shira_indices"].ToIntegers(),
                Is.EqualTo(places.Select(place => place / layer.In).Concat(places.Select(place => place % layer.In)))
            );
            Assert.That(file[key + "shira_weight"].ToFloats(), Is.EqualTo(values));
        });
    }

    [TestCase(0, 0, "twice, expected it once")]
    [TestCase(0, 100000, "expected one within [16, 12]")]
    [TestCase(0, -1, "expected one within [16, 12]")]
    public void PlacesThatAreWrongAreNamed(int first, int second, string message)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        Linear layer = model.Adaptable.First(linear => linear.Name.EndsWith("q_proj", StringComparison.Ordinal));
        int[] places = [.. Enumerable.Range(0, layer.Out + layer.In)];
        (places[0], places[1]) = (first, second);
        WritePeft(layer.Name, places, new float[places.Length], layer.In, StoredType.I32);
        Assert.That(
            () => Adapter.Load(model, AdapterPath),
            Throws.TypeOf<InputException>().With.Message.Contains(message).And.Message.Contains("shira_indices")
        );
    }

    private string AdapterPath => Path.Combine(Folder.Path, "adapter");

    private void WritePeft(string module, int[] places, float[] values, int columns, StoredType type)
    {
        Directory.CreateDirectory(AdapterPath);
        JsonObject config = new()
        {
            ["peft_type"] = "SHIRA",
            ["r"] = 1,
            ["mask_type"] = "random",
            ["random_seed"] = 42,
            ["target_modules"] = new JsonArray("q_proj"),
            ["fan_in_fan_out"] = false,
            ["init_weights"] = true,
            ["modules_to_save"] = null,
            ["task_type"] = "CAUSAL_LM",
        };
        File.WriteAllText(Path.Combine(AdapterPath, "adapter_config.json"), config.ToJsonString());
        int[] split = [.. places.Select(place => place / columns), .. places.Select(place => place % columns)];
        string key = $"base_model.model.{module}.";
        TensorToWrite indices =
            type == StoredType.I32
                ? TensorToWrite.Integers(key + "shira_indices", [2, places.Length], () => split)
                : TensorToWrite.Floats(
                    key + "shira_indices",
                    type,
                    [2, places.Length],
                    () => Array.ConvertAll(split, place => (float)place)
                );
        SafetensorsWriter.Write(
            Path.Combine(AdapterPath, "adapter_model.safetensors"),
            [indices, TensorToWrite.Floats(key + "shira_weight", StoredType.F32, [values.Length], () => values)]
        );
    }

    private void Backward(CausalLanguageModel model, Adapter adapter)
    {
        adapter.Parameters.EnableGradients();
        using BatchTensors tensors = new(Device, Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0));
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1);
        tape.Backward();
    }

    private static int[] Places(AdaptedModule module) => module.Form.Entries[0].Index.ToInt32Array();

    private static Parameter Values(AdaptedModule module) => module.Factors.Single(factor => factor.Value.Trains).Value;

    private static float[] Base(CausalLanguageModel model, AdaptedModule module) =>
        model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray();
}
