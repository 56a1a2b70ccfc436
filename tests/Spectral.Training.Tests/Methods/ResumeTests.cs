using Spectral.Kernels;
using Spectral.Kernels.Tests;

namespace Spectral.Training.Tests;

/// <summary>For each adapter method there is: a run that is broken off, saved and gone on with in another model ends with the bits of one without a break.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ResumeTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Steps = 6;

    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };

    private static readonly AdapterOptions Options = new()
    {
        Rank = 4, Alpha = 3, TopK = 2, Seed = 5, TargetModules = ["q_proj", "v_proj", "down_proj"], Dropout = 0.2, LearningRateRatio = 2,
    };

    private static readonly TrainerOptions Training = new() { Steps = Steps, Batch = 3, Accumulate = 2, LearningRate = 1e-2, Warmup = 2, EvalEvery = 4, Seed = 3, LogEvery = 0 };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, Config, new Random(31));

    [Test]
    public void EveryMethodEndsWithTheSameBits([ValueSource(nameof(Methods))] string name, [Values] Kind kind)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        TrainerOptions training = Training with { CudaGraph = kind == Kind.Graph && !method.ActsBetweenSteps };
        AdapterOptions options = Options with { Settings = Busy(method) };
        int broken = 1 + new Random(TestContext.CurrentContext.Random.Next()).Next(Steps - 1);
        TestContext.Out.WriteLine($"broken off after step {broken}");
        string state = Path.Combine(Folder.Path, "state.safetensors");
        DType type = kind == Kind.Bf16 ? DType.BF16 : DType.F32;

        Recorder whole = new(), rest = new();
        Dictionary<string, float[]> expected, actual;
        using (CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder, type))
        using (Adapter adapter = Adapter.Attach(model, method, options, new Calibration(model, TinyModels.Records(6, Config, new Random(3)), 3)))
        using (Trainer trainer = new(model, training))
        {
            whole.AtEnd = step => { if (step == broken) trainer.Save(state); };
            trainer.Run(Records, Records[..4], [whole]);
            expected = Everything(trainer, state + ".end");
        }
        using (TrainerState saved = TrainerState.Open(state))
        using (ModelFolder folder = ModelFolder.Open(Folder.Path))
        using (CausalLanguageModel model = CausalLanguageModel.Load(folder, Device, type))
        using (Adapter adapter = Adapter.Restore(model, method, options, saved))
        using (Trainer trainer = new(model, training))
        {
            trainer.Restore(saved);
            trainer.Run(Records, Records[..4], [rest]);
            actual = Everything(trainer, state + ".end");
        }
        Assert.Multiple(() =>
        {
            Assert.That(rest.Steps, Is.EqualTo(whole.Steps[broken..]));
            Assert.That(rest.Evaluations, Is.EqualTo(whole.Evaluations.Where(made => made.Step > broken)));
            Assert.That(actual.Keys, Is.EquivalentTo(expected.Keys));
            foreach (string tensor in expected.Keys)
                Assert.That(actual[tensor], Is.EqualTo(expected[tensor]), tensor);
        });
    }

    /// <summary>What may differ in how a step is made.</summary>
    public enum Kind
    {
        /// <summary>Launch by launch in F32.</summary>
        Plain,

        /// <summary>In BF16: masters are rounded for the kernels, and not in the state.</summary>
        Bf16,

        /// <summary>Replayed; the first step after the break is not.</summary>
        Graph,
    }

    private static string[] Methods() => [.. AdapterMethods.All.Select(method => method.Name)];

    /// <summary>Settings with which a schedule does something in each of so few steps.</summary>
    private static Dictionary<string, double> Busy(AdapterMethod method)
    {
        var busy = new Dictionary<string, double> { ["interval"] = 1, ["begin"] = 0, ["finish"] = 0.2, ["warmup"] = 2 };
        return method.Settings.Where(setting => method.ActsBetweenSteps && busy.ContainsKey(setting.Name)).ToDictionary(setting => setting.Name, setting => busy[setting.Name]);
    }

    private static Dictionary<string, float[]> Everything(Trainer trainer, string path)
    {
        trainer.Save(path);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        return file.Tensors.ToDictionary(pair => pair.Key, pair => pair.Value.ToFloats());
    }

    private sealed class Recorder : ITrainerCallback
    {
        public List<(double Loss, double Norm, double Rate)> Steps { get; } = [];

        public List<StepEvaluation> Evaluations { get; } = [];

        public Action<int> AtEnd { get; set; } = _ => { };

        public void OnStep(StepReport report) => Steps.Add((report.Loss, report.GradientNorm, report.LearningRate));

        public void OnEvaluation(int step, EvaluationResult result) => Evaluations.Add(new StepEvaluation(step, result));

        public void OnStepEnd(int step, bool isLast) => AtEnd(step);
    }
}
