using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>What holds for each adapter method there is; a new one is tested here without a line.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class EveryMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-2;
    private const double Tolerance = 2e-3;
    private const double LossTolerance = 1e-5;
    private const int EntriesOfEach = 5;

    /// <summary>Merged weights are F32: their rounding, over the step, moves a difference by some 5e-5.</summary>
    private const double Rounding = 1e-4;

    /// <summary>
    /// A model with every bias, one layer of each kind adapted: alone and with siblings, wide and tall.
    /// </summary>
    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };

    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        Alpha = 3,
        TopK = 2,
        Seed = 5,
        InvocationTokens = TinyModels.Records(4, Config, new Random(7))[1].Tokens[..1], // so that it acts
        TargetModules = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
    };

    private Batch Data { get; } = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);

    [TestCaseSource(nameof(Methods))]
    public void BeginsWithoutChangingTheModel(string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        float[] before = Losses.Logits(model, Data);
        using Adapter adapter = Attach(model, name);
        Assert.That(
            Losses.Logits(model, Data),
            // A single layer of a kind is the mean of those that it shares its weight with.
            adapter.Method.StartsAtBase
            || name == "relaxed-recursive"
                ? Is.EqualTo(before).Within(2e-5f * before.Max(Math.Abs))
                : Is.Not.EqualTo(before).Within(1e-5f)
        );
        TestAdapters.Perturb(adapter, 3);
        Assert.That(
            Losses.Logits(model, Data),
            Is.Not.EqualTo(before).Within(1e-2f),
            "every method can change the model"
        );
        adapter.Dispose();
        Assert.That(Losses.Logits(model, Data), Is.EqualTo(before), "the base comes back to the bit");
    }

    /// <summary>
    /// Against central differences of the reference model in double, fed with the merged weights, or with s·L·relu(R x)
    /// where there are none: it shares no code with forward or backward.
    /// </summary>
    [Test]
    public void TheGradientOfEveryFactorIsThatOfTheDifferences(
        [ValueSource(nameof(Methods))] string name,
        [Values(null, LowRankVariant.Augmented)] LowRankVariant? variant
    )
    {
        using ForcedLowRank forced = new(Device, variant);
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using Adapter adapter = Attach(model, name, Differentiated(AdapterMethods.Find(name)));
        TestAdapters.Perturb(adapter, 29);
        adapter.Parameters.EnableGradients();
        double loss = Loss(model, backward: true);
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        Dictionary<string, double[]> bases = new(weights);
        Random random = new(9);
        double Reference()
        {
            Dictionary<string, AdaptedModule> added = [];
            foreach (AdaptedModule module in adapter.Modules)
            {
                string weight = $"{module.Shape.Name}.weight";
                string bias = $"{module.Shape.Name}.bias";
                if (module.Form.IsMergeable)
                    weights[weight] = Array.ConvertAll(module.Core.MergedWeight(), value => (double)value);
                else
                    added.Add(module.Shape.Name, module);
                weights[bias] = module.Form.Bias is null
                    ? bases[bias]
                    : Array.ConvertAll(module.Core.Bias!.ToArray(), value => (double)value);
            }
            var changes = new ReferenceTokenChanges(adapter, Data);
            ReferenceModel reference = null!;
            reference = new ReferenceModel(model.Config, weights)
            {
                OutputChange = (layer, x) =>
                    added.TryGetValue(layer, out AdaptedModule? module) && module.Form.Rectified
                        ? Rectified(module, x)
                        : null,
                TokenChange = (layer, place, x, y) => changes.Of(layer, reference.Row, place, x, y),
            };
            return changes.Settled(() => reference.LossSum(Data));
        }
        Assert.That(Reference(), Is.EqualTo(loss).Within(LossTolerance * loss), "merged and unmerged agree");

        // A ReLU bends within a large step; its reference is double throughout, and has no use for one.
        bool merges = adapter.Modules.All(module => module.Form.IsMergeable);
        double step = merges ? Step / Finer(name) : Step / 100;
        double rounding = merges ? Rounding * Finer(name) : Rounding;
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            float[] values = parameter.Master.ToArray();
            float[] gradient = parameter.Gradient!.ToArray();
            float largest = gradient.Max(Math.Abs);
            Assert.That(largest, Is.GreaterThan(0).And.LessThan(float.PositiveInfinity), parameter.Name);
            int[] entries =
            [
                .. Enumerable.Range(0, EntriesOfEach).Select(_ => random.Next(values.Length)),
                Array.FindIndex(gradient, value => Math.Abs(value) == largest),
            ];
            foreach (int i in entries.Distinct())
            {
                double Moved(double by)
                {
                    float kept = values[i];
                    values[i] = (float)(kept + by);
                    parameter.Master.CopyFrom(values);
                    adapter.Parameters.NotifyChanged();
                    values[i] = kept;
                    return Reference();
                }
                // Richardson: the differences of two steps take each other's error of second order away.
                double near = (Moved(step / 2) - Moved(-step / 2)) / step;
                double far = (Moved(step) - Moved(-step)) / (2 * step);
                double expected = (4 * near - far) / 3;
                Assert.That(
                    gradient[i],
                    Is.EqualTo(expected).Within(Tolerance * Math.Max(largest, Math.Abs(expected)) + rounding),
                    $"{parameter.Name}[{i}] (largest {largest})"
                );
            }
            parameter.Master.CopyFrom(values);
        }
        adapter.Parameters.NotifyChanged();
    }

    [TestCaseSource(nameof(Methods))]
    public void SomeStepsLowerTheLoss(string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using Adapter adapter = Attach(model, name);
        using Trainer trainer = new(
            model,
            new TrainerOptions
            {
                Steps = 12,
                Batch = 4,
                LearningRate = 2e-2,
                LogEvery = 0,
            }
        );
        double before = Loss(model, backward: false);
        trainer.Run(TinyModels.Records(4, Config, new Random(7)));
        double after = Loss(model, backward: false);
        Assert.That(after, Is.LessThan(before));
    }

    /// <summary>
    /// The same adapter on the same model in BF16: 8 bits of weights and activations, one layer, turn a gradient by a
    /// few degrees at most.
    /// </summary>
    [TestCaseSource(nameof(Methods))]
    public void InBf16TheGradientPointsTheSameWay(string name)
    {
        string directory = Path.Combine(Folder.Path, "adapter");
        (float[] Gradient, double Loss) Measure(CausalLanguageModel model, Adapter adapter)
        {
            adapter.Parameters.EnableGradients();
            double loss = Loss(model, backward: true);
            return ([.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Gradient!.ToArray())], loss);
        }
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using Adapter adapter = Attach(model, name);
        TestAdapters.Perturb(adapter, 31);
        Directory.CreateDirectory(directory);
        adapter.Save(directory);
        (float[] wide, double wideLoss) = Measure(model, adapter);

        using var folder = ModelFolder.Open(Folder.Path);
        CausalLanguageModel narrow = Keep(CausalLanguageModel.Load(folder, Device, DType.BF16));
        using var loaded = Adapter.Load(narrow, directory);
        (float[] actual, double loss) = Measure(narrow, loaded);
        double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
        Assert.Multiple(() =>
        {
            Assert.That(loss, Is.EqualTo(wideLoss).Within(3).Percent);
            Assert.That(Dot(actual, wide) / Math.Sqrt(Dot(actual, actual) * Dot(wide, wide)), Is.GreaterThan(0.98));
            Assert.That(Math.Sqrt(Dot(actual, actual) / Dot(wide, wide)), Is.EqualTo(1).Within(0.1));
        });
    }

    /// <summary>Loss and gradients on a base in NF4 are those on the weights that the codes stand for.</summary>
    [TestCaseSource(nameof(Methods))]
    public void AQuantizedBaseCountsAsWhatItStandsFor(string name)
    {
        (float[] Gradient, double Loss) Measure(CausalLanguageModel model)
        {
            using Adapter adapter = Attach(model, name);
            TestAdapters.Perturb(adapter, 31);
            adapter.Parameters.EnableGradients();
            double loss = Loss(model, backward: true);
            return ([.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Gradient!.ToArray())], loss);
        }
        Keep(TinyModels.Frozen(Config, Device, Folder));
        using var folder = ModelFolder.Open(Folder.Path, quantization: new BaseQuantization(WeightFormat.Nf4));
        CausalLanguageModel quantized = Keep(CausalLanguageModel.Load(folder, Device, DType.F32));
        CausalLanguageModel rounded = Keep(
            CausalLanguageModel.Of(
                folder.Config,
                Device,
                false,
                weight =>
                    ModelTensors.Quantizable(folder.Config).Contains(weight)
                        ? ReferenceQuantization.Round(folder[weight].ToFloats(), (int)folder[weight].Shape[1], "nf4")
                        : folder[weight].ToFloats()
            )
        );
        (float[] actual, double loss) = Measure(quantized);
        (float[] expected, double reference) = Measure(rounded);
        Assert.That(loss, Is.EqualTo(reference).Within(LossTolerance * reference));
        Assert.That(actual, Is.EqualTo(expected).Within(1e-4f * expected.Max(Math.Abs)));
    }

    /// <summary>What expressions compute lies where a captured step goes on reading it.</summary>
    [TestCaseSource(nameof(Methods))]
    public void AReplayedStepGivesTheBitsOfAnEagerOne(string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        AdapterMethod method = AdapterMethods.Find(name);
        float[] Trained(bool graph)
        {
            using Adapter adapter = Attach(model, name);
            using Trainer trainer = new(
                model,
                new TrainerOptions
                {
                    Steps = 5,
                    Batch = 4,
                    LearningRate = 1e-2,
                    LogEvery = 0,
                    FixedShapes = true,
                    CudaGraph = graph,
                }
            );
            trainer.Run(TinyModels.Records(4, Config, new Random(7)));
            return [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())];
        }
        if (method.ActsBetweenSteps || method.FollowsTokens)
            Assert.That(() => Trained(graph: true), Throws.TypeOf<InputException>().With.Message.Contains(name));
        else
            Assert.That(Trained(graph: true), Is.EqualTo(Trained(graph: false)));
    }

    /// <summary>
    /// The same numbers of parameters, and the same form, whether or not there is a device behind them.
    /// </summary>
    [TestCaseSource(nameof(Methods))]
    public void DescribedItHasTheSizeOfTheAttached(string name)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        AdapterMethod method = AdapterMethods.Find(name);
        using Adapter adapter = Attach(model, name);
        Assert.Multiple(() =>
        {
            if (!method.StartsFromData) // which may share out the rank otherwise
            {
                Assert.That(
                    AdapterSize.Trainable(method, AdapterTargets.Of(model.Config, Options), Options),
                    Is.EqualTo(adapter.TrainableCount)
                );
            }

            Assert.That(adapter.TrainableCount, Is.GreaterThan(0));
            Assert.That(method.Formula, Is.Not.Empty.And.Not.Contains("\n"));
            Assert.That(method.Source, Is.Not.Empty);
            Assert.That(method.Use, Does.EndWith("."));
        });
    }

    private static string[] Methods() => TestAdapters.LayerMethods;

    /// <summary>
    /// By how much the steps of the differences are smaller than others: DEFT's ReLU bends where an entry is near zero,
    /// and one number of Polyhistor's templates changes every layer in many places.
    /// </summary>
    private static int Finer(string method) => method is "deft" or "polyhistor" ? 16 : 1;

    /// <summary>
    /// Where differences are no measure at the published setting: DoRA's norm counts as a constant, which they see; and
    /// strengths of 15 or 4 make the loss so steep that no step is small. A choice of some vectors out of many jumps
    /// where logits meet, one of all does not.
    /// </summary>
    private static AdapterOptions Differentiated(AdapterMethod method)
    {
        var measured = new Dictionary<string, double>
        {
            ["norm"] = 1,
            ["lambda"] = 1,
            ["scale"] = 1,
            ["num-vectors"] = 4,
            ["top-vectors"] = 4,
            // A straight-through gradient is not that of the differences.
            ["bits"] = 0,
            ["soft"] = 1,
            ["gate-threshold"] = 0,
            // One distance in the plane has no bend but at zero, and all entries pass.
            ["heads"] = 1,
            ["sparsity"] = 0,
            // Reported losses do not contain it.
            ["balance"] = 0,
        };
        if (method.Name == "waveft") // whose factor of 25 is as steep
            measured["scaling"] = 1;
        return Options with
        {
            Settings = method
                .Settings.Where(setting => measured.ContainsKey(setting.Name))
                .ToDictionary(setting => setting.Name, setting => measured[setting.Name]),
        };
    }

    private static Adapter Attach(CausalLanguageModel model, string name, AdapterOptions? options = null) =>
        Adapter.Attach(
            model,
            AdapterMethods.Find(name),
            options ?? Options,
            new ModelCalibration(model, TinyModels.Records(6, Config, new Random(3)), 3)
        );

    private double Loss(CausalLanguageModel model, bool backward)
    {
        using BatchTensors tensors = new(Device, Data);
        using Tape tape = new(Device, records: backward);
        using Tensor loss = model.Loss(tape, tensors, 1);
        if (backward)
            tape.Backward();
        return loss.ToArray()[0];
    }

    private static double[] Rectified(AdaptedModule module, double[] x)
    {
        double[] y = new double[module.Shape.Out];
        foreach (LowRankTerm term in module.Form.Terms)
        {
            float[] left = term.Left.Value.ToArray();
            float[] right = term.Right.Value.ToArray();
            for (int i = 0; i < term.Rank; i++)
            {
                double z = Math.Max(0, Enumerable.Range(0, x.Length).Sum(j => right[i * x.Length + j] * x[j]));
                for (int o = 0; o < y.Length; o++)
                    y[o] += term.Scale * left[o * term.Rank + i] * z;
            }
        }
        return y;
    }
}
