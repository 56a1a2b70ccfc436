using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>LoftQ and QPiSSA: a LoRA beside a base that is rounded without a part of its own.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedStartTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly BaseQuantization Nf4 = new(WeightFormat.Nf4);
    private static readonly ModelConfig Config = TinyModels.Llama;

    private Batch Data { get; } = Batch.Create(TinyModels.Records(3, Config, new Random(4)));

    /// <summary>Both are made to lose less than rounding alone, which is what their papers measure.</summary>
    [Test]
    public void TheStartIsNearerToTheWeightsThanRounding(
        [Values("loftq", "qpissa")] string name,
        [Values(1, 5)] int iterations
    )
    {
        CausalLanguageModel model = Quantized();
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        var rounded = model.Linears.ToDictionary(linear => linear.Name, linear => linear.Weight.ToArray());
        using Adapter adapter = Attach(model, name, iterations);
        foreach (AdaptedModule module in adapter.Modules)
        {
            double[] weight = weights[module.Shape.Name + ".weight"];
            double alone = Distance(rounded[module.Shape.Name], weight);
            double together = Distance(module.Core.MergedWeight(), weight);
            Assert.That(together, Is.LessThan(0.95 * alone).And.GreaterThan(0), module.Shape.Name);
        }
    }

    /// <summary>
    /// Against the definitions: LoftQ's base is the rounded weight less the fit of the turn before, zero in the first;
    /// QPiSSA's is the rounded weight less its own start.
    /// </summary>
    [TestCase("loftq", 1)]
    [TestCase("loftq", 3)]
    [TestCase("qpissa", 1)]
    [TestCase("qpissa", 2)]
    public void TheBaseIsTheRoundedRest(string name, int iterations)
    {
        CausalLanguageModel model = Quantized();
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        using Adapter adapter = Attach(model, name, iterations);
        foreach (AdaptedModule module in adapter.Modules)
        {
            (int rows, int columns) = (module.Shape.Out, module.Shape.In);
            Dense Factor(string leaf, int height, int width) =>
                Dense.Of(height, width, [.. module.Factors[leaf].Master.ToArray().Select(value => (double)value)]);
            int rank = module.Form.Rank;
            double scale = adapter.Options.Scale;
            Dense part = scale * (Factor("base_B.weight", rows, rank) * Factor("base_A.weight", rank, columns));
            double[] weight = weights[module.Shape.Name + ".weight"];
            float[] rest = new float[weight.Length];
            for (int i = 0; i < rest.Length; i++)
                rest[i] = (float)(weight[i] - part[i / columns, i % columns]);
            Linear linear = model.Linears.First(linear => linear.Name == module.Shape.Name);
            float[] expected = ReferenceQuantization.Round(rest, columns, "nf4");
            // The part is a product in F32; a number halfway between codes may go either way.
            int different = linear
                .Weight.ToArray()
                .Zip(expected)
                .Count(pair => !(Math.Abs(pair.First - pair.Second) <= 1e-5));
            Assert.That(different, Is.LessThanOrEqualTo(1), module.Shape.Name);
            Dense own = scale * (Factor("lora_B.weight", rows, rank) * Factor("lora_A.weight", rank, columns));
            Assert.That(
                own.Values,
                name == "qpissa" ? Is.EqualTo(part.Values).Within(1e-9) : Is.Not.EqualTo(part.Values).Within(1e-6)
            );
            if (name == "loftq" && iterations == 1)
                Assert.That(part.Values, Is.All.Zero, "the first turn rounds the weight itself");
        }
    }

    [Test]
    public void ItIsSavedLoadedAndMerged([Values("loftq", "qpissa")] string name)
    {
        CausalLanguageModel model = Quantized();
        float[] plain = Losses.Logits(model, Data);
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "adapter")).FullName;
        float[] trained;
        using (Adapter adapter = Attach(model, name, 2))
        {
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Logits(model, Data);
            adapter.Save(directory);
        }

        Assert.That(Losses.Logits(model, Data), Is.EqualTo(plain), "the base comes back to the bit");
        using (var loaded = Adapter.Load(model, directory))
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(trained).Within(1e-6f * trained.Max(Math.Abs)));

        string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
        using var folder = ModelFolder.Open(Folder.Path, quantization: Nf4);
        Merger.Merge(folder, directory, merged, Device);
        using var opened = ModelFolder.Open(merged);
        CausalLanguageModel dense = Keep(CausalLanguageModel.Load(opened, Device, DType.F32));
        Assert.That(Losses.Logits(dense, Data), Is.EqualTo(trained).Within(1e-5f * trained.Max(Math.Abs)));

        using var wide = ModelFolder.Open(Folder.Path);
        Assert.That(
            () => Merger.Merge(wide, directory, merged, Device),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains($"{name} starts from")
                .And.Message.Contains("--quantize")
        );
        CausalLanguageModel full = Keep(CausalLanguageModel.Load(wide, Device, DType.F32));
        Assert.That(() => Adapter.Load(full, directory), Throws.TypeOf<InputException>().With.Message.Contains(name));
    }

    /// <summary>
    /// Rehearsed: the weights that were rounded with nothing taken out leave, and come back where the base is wanted.
    /// </summary>
    [Test]
    public void OneRoundedBaseIsInMemory([Values("loftq", "qpissa")] string name)
    {
        using Device rehearsal = Device.Rehearse();
        ModelConfig config = Config with { HiddenSize = 256, IntermediateSize = 1024, HeadDimension = 64 };
        using var model = CausalLanguageModel.Unset(config, rehearsal, DType.F32, quantization: Nf4);
        long rounded = model.Linears.Sum(linear => linear.Weight.Bytes);
        using Adapter adapter = Attach(model, name, 1);
        long factors = adapter.Modules.Sum(module => module.Factors.Values.Sum(factor => factor.Master.Bytes));
        long attached = rehearsal.Memory.InUse;
        Assert.That(model.Linears.Sum(linear => linear.Weight.Bytes), Is.EqualTo(rounded));
        using (adapter.Suspend())
        {
            foreach (Linear linear in model.Linears)
                _ = linear.Weight.Frozen;
            // blocks of memory are an eighth larger than what they hold at most
            Assert.That(rehearsal.Memory.InUse - attached, Is.InRange(rounded, rounded * 9 / 8 + 512 * 4 * 7 * 2));
        }

        adapter.Detach();
        Assert.That(rehearsal.Memory.InUse, Is.LessThanOrEqualTo(attached + factors));
    }

    private Adapter Attach(CausalLanguageModel model, string name, int iterations) =>
        Adapter.Attach(
            model,
            AdapterMethods.Find(name),
            new AdapterOptions
            {
                Rank = 3,
                Alpha = 6,
                Seed = 2,
                Settings = new Dictionary<string, double> { ["iterations"] = iterations },
            }
        );

    private CausalLanguageModel Quantized()
    {
        using (CausalLanguageModel model = TinyModels.Trainable(Config, Device))
            model.Save(Folder.Path, null);
        using var opened = ModelFolder.Open(Folder.Path, quantization: Nf4);
        return Keep(CausalLanguageModel.Load(opened, Device, DType.F32));
    }

    private static double Distance(float[] values, double[] from) =>
        Math.Sqrt(values.Zip(from, (value, other) => (value - other) * (value - other)).Sum());
}
