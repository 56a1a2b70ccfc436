using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// For each adapter method there is: a run that is broken off, saved and gone on with in another model ends with the
/// bits of one without a break.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ResumeTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Steps = 6;

    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };

    private static readonly AdapterOptions Options = new()
    {
        InvocationTokens = [3],
        Rank = 4,
        Alpha = 3,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "v_proj", "down_proj"],
        Dropout = 0.2,
        LearningRateRatio = 2,
    };

    private static readonly TrainerOptions Training = new()
    {
        Steps = Steps,
        Batch = 3,
        Accumulate = 2,
        LearningRate = 1e-2,
        Warmup = 2,
        EvalEvery = 4,
        Seed = 3,
        LogEvery = 0,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, Config, new Random(31));

    [Test]
    public void EveryMethodEndsWithTheSameBits([ValueSource(nameof(Methods))] string name, [Values] Kind kind)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        TrainerOptions training = Training with
        {
            CudaGraph = kind == Kind.Graph && !method.ActsBetweenSteps && !method.FollowsTokens,
        };
        // Not every method's files have a place for dropout.
        AdapterOptions wanted = TestAdapters.For(method, Options with { Settings = Busy(method) });
        AdapterOptions options = KeptOptions.Keep(
            method,
            wanted,
            AdapterTargets.Of(Config, method, wanted),
            TestContext.Out.WriteLine
        );
        int broken = 1 + new Random(TestContext.CurrentContext.Random.Next()).Next(Steps - 1);
        TestContext.Out.WriteLine($"broken off after step {broken}");
        string state = Path.Combine(Folder.Path, "state.safetensors");
        DType type = kind == Kind.Bf16 ? DType.BF16 : DType.F32;

        Recorder whole = new();
        Recorder rest = new();
        Dictionary<string, float[]> expected;
        Dictionary<string, float[]> actual;
        using (CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder, type, TestAdapters.BaseOf(method)))
        using (
            var adapter = Adapter.Attach(
                model,
                method,
                options,
                new ModelCalibration(model, TinyModels.Records(6, Config, new Random(3)), 3)
            )
        )
        using (Trainer trainer = new(model, training))
        {
            whole.AtEnd = step =>
            {
                if (step == broken)
                    trainer.Save(state);
            };
            trainer.Run(Records, Records[..4], [whole]);
            expected = Everything(trainer, state + ".end");
        }
        using (var saved = TrainerState.Open(state))
        using (var folder = ModelFolder.Open(Folder.Path, quantization: TestAdapters.BaseOf(method)))
        using (var model = CausalLanguageModel.Load(folder, Device, type))
        using (Adapter adapter = saved.RestoreAdapter(model, method, options))
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

    /// <summary>
    /// As after --init-adapter: what lies in the adapter before, frozen factors that a schedule has changed since
    /// included, gives way to the state.
    /// </summary>
    [Test]
    public void AnAdapterThatBeganAfreshTakesTheState()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        AdapterMethod method = AdapterMethods.Find("cola"); // finishes a term every two of six steps
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        Recorder whole = new();
        Recorder rest = new();
        using (var adapter = Adapter.Attach(model, method, Options))
        using (Trainer trainer = new(model, Training))
        {
            whole.AtEnd = step =>
            {
                if (step == 3)
                    trainer.Save(path);
            };
            trainer.Run(Records, callbacks: [whole]);
        }
        using (var state = TrainerState.Open(path))
        using (var adapter = Adapter.Attach(model, method, Options))
        using (Trainer trainer = new(model, Training))
        {
            trainer.Restore(state);
            trainer.Run(Records, callbacks: [rest]);
        }
        Assert.That(rest.Steps, Is.EqualTo(whole.Steps[3..]));
    }

    /// <summary>
    /// A loop of one's own: masters, moments and the number of updates come back, the sampler is told where it was.
    /// </summary>
    [Test]
    public void ACustomLoopGoesOnToo()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        float[] Train(int from, int to, bool resumes)
        {
            using CausalLanguageModel model = TinyModels.Trainable(Config, Device);
            using AdamWOptimizer optimizer = new(model.Trainable!, new AdamWOptions());
            if (resumes)
            {
                using (var state = TrainerState.Open(path))
                {
                    Assert.That((state.Step, state.Notes["by"]), Is.EqualTo((from, "hand")));
                    state.Restore(optimizer);
                }
            }

            BatchSampler sampler = new(Records.Length, 3, 1, shuffle: true) { Position = from };
            for (int step = from + 1; step <= to; step++)
            {
                using BatchTensors batch = new(
                    Device,
                    Batch.Create([.. sampler.Next().Select(index => Records[index])], 0)
                );
                using Tape tape = new(Device);
                using Tensor loss = model.Loss(tape, batch, 1f / batch.Source.LossTokens);
                tape.Backward();
                optimizer.Step(1e-2);
            }
            TrainerState.Save(path, to, optimizer, notes: new Dictionary<string, string> { ["by"] = "hand" });
            return [.. model.Trainable!.Masters.SelectMany(master => master.ToArray())];
        }
        float[] whole = Train(0, 5, resumes: false);
        Train(0, 2, resumes: false);
        Assert.That(Train(2, 5, resumes: true), Is.EqualTo(whole));
    }

    [Test]
    public void TheStateOfAnotherRunIsRefusedAndChangesNothing()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        AdapterMethod method = AdapterMethods.Find("lora");
        using (var adapter = Adapter.Attach(model, method, Options))
        using (Trainer trainer = new(model, Training))
        {
            trainer.Run(Records);
            trainer.Save(path);
        }
        using var state = TrainerState.Open(path);
        Assert.That(
            () => state.RestoreAdapter(model, AdapterMethods.Find("speclora"), Options),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("no tensor 'master.")
                .And.Message.Contains("spec_delta")
        );
        using (var adapter = Adapter.Attach(model, method, Options with { Rank = 3 }))
            Refused(adapter, Training, "[16, 3]", "expected F32");
        using (var adapter = Adapter.Attach(model, method, Options with { TargetModules = ["q_proj"] }))
            Refused(adapter, Training, "is no part of what trains here");
        using (Adapter adapter = state.RestoreAdapter(model, method, Options))
        {
            Refused(adapter, Training with { Batch = 4 }, "the option Batch 3, not 4");
            Refused(adapter, Training with { Optimizer = new AdamWOptions { Beta1 = 0.5 } }, "the option Optimizer");
            using Trainer other = new(model, Training with { LogEvery = 3, MaxSkipped = 7 });
            other.Restore(state);
            Assert.That(
                () => other.Run(Records[..5]),
                Throws.TypeOf<InputException>().With.Message.Contains("5 training records, expected the 10")
            );
            Assert.That(other.Run(Records).Steps, Is.EqualTo(Steps), "nothing is left to do");
        }

        void Refused(Adapter adapter, TrainerOptions training, params string[] named)
        {
            using Trainer trainer = new(model, training);
            float[] before = [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())];
            string message = Assert.Throws<InputException>(() => trainer.Restore(state))!.Message;
            foreach (string name in named)
                Assert.That(message, Does.Contain(name));
            Assert.That(adapter.Parameters.Masters.SelectMany(master => master.ToArray()), Is.EqualTo(before));
        }
    }

    [Test]
    public void ARunMayBecomeLongerUnlessItsMethodCountsItsSteps()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        foreach (string name in new[] { "lora", "adalora" })
        {
            AdapterMethod method = AdapterMethods.Find(name);
            using (var adapter = Adapter.Attach(model, method, Options))
            using (Trainer trainer = new(model, Training with { Accumulate = 1 }))
            {
                trainer.Run(Records);
                trainer.Save(path);
            }
            using var state = TrainerState.Open(path);
            using Adapter restored = state.RestoreAdapter(model, method, Options);
            using Trainer longer = new(model, Training with { Accumulate = 1, Steps = null, Epochs = 2 });
            using Trainer shorter = new(model, Training with { Accumulate = 1, Steps = 5 });
            Assert.That(
                () => shorter.Restore(state),
                Throws.TypeOf<InputException>().With.Message.Contains("6 steps were made").And.Message.Contains("not 5")
            );
            if (name == "adalora")
            {
                Assert.That(
                    () => longer.Restore(state),
                    Throws.TypeOf<InputException>().With.Message.Contains("adalora follows a schedule over the 6 steps")
                );
                continue;
            }
            longer.Restore(state);
            Recorder recorder = new();
            Assert.That(
                longer.Run(Records, callbacks: [recorder]).Steps,
                Is.EqualTo(8),
                "two epochs of ten records in threes"
            );
            Assert.That(recorder.Steps, Has.Count.EqualTo(2));
        }
    }

    /// <summary>
    /// States from before epochs ended with a short batch: the mark is made unreadable, in as many bytes.
    /// </summary>
    [TestCase(3, 2, false)]
    [TestCase(5, 1, true)]
    public void AStateWhoseBatchesCrossedEpochsIsRefusedWhereOneWould(int batch, int accumulate, bool fits)
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        using CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options);
        using Trainer trainer = new(model, Training with { Batch = batch, Accumulate = accumulate });
        trainer.Run(Records);
        trainer.Save(path);
        byte[] bytes = File.ReadAllBytes(path);
        int mark = bytes.AsSpan().IndexOf("EpochsEnd"u8);
        "EpochsXnd"u8.CopyTo(bytes.AsSpan(mark));
        File.WriteAllBytes(path, bytes);
        using var state = TrainerState.Open(path);
        Assert.That(
            () => trainer.Restore(state),
            fits
                ? Throws.Nothing
                : Throws
                    .TypeOf<InputException>()
                    .With.Message.Contains("crossed the end of an epoch")
                    .And.Message.Contains("10 records in steps of 6")
        );
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
        var busy = new Dictionary<string, double>
        {
            ["interval"] = 1,
            ["begin"] = 0,
            ["finish"] = 0.2,
            ["warmup"] = 2,
        };
        return method
            .Settings.Where(setting => method.ActsBetweenSteps && busy.ContainsKey(setting.Name))
            .ToDictionary(setting => setting.Name, setting => busy[setting.Name]);
    }

    private static Dictionary<string, float[]> Everything(Trainer trainer, string path)
    {
        trainer.Save(path);
        using var file = SafetensorsFile.Open(path);
        return file.Tensors.ToDictionary(
            pair => pair.Key,
            pair =>
                pair.Value.Type == StoredType.I32
                    ? Array.ConvertAll(pair.Value.ToIntegers(), place => (float)place)
                    : pair.Value.ToFloats()
        );
    }

    private sealed class Recorder : ITrainerCallback
    {
        public List<(double Loss, double Norm, double Rate)> Steps { get; } = [];

        public List<StepEvaluation> Evaluations { get; } = [];

        public Action<int> AtEnd { get; set; } = _ => { };

        public void OnStep(StepReport report) => Steps.Add((report.Loss, report.GradientNorm, report.LearningRate));

        public void OnEvaluation(int step, EvaluationResult result) =>
            Evaluations.Add(new StepEvaluation(step, result));

        public void OnStepEnd(int step, bool isLast) => AtEnd(step);
    }
}
