using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>Tensors chosen by Σ ∣g·Δθ∣ within a budget, and the others left as they are.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TensorBudgetTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly (string Name, Shape Shape)[] Shapes =
    [
        ("a", (6, 5)),
        ("b", (4, 9)),
        ("c", 12),
        ("d", (3, 20)),
        ("e", (2, 2)),
    ];

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    private static TrainerOptions Options(string optimizer = "adamw") =>
        new()
        {
            Steps = 7,
            Batch = 3,
            LearningRate = 1e-3,
            LogEvery = 0,
            FlopBudget = 0.4,
            FlopInterval = 3,
            OptimizerChoice = new OptimizerChoice(optimizer),
        };

    /// <summary>By plain descent Δθ = −η g, so that the reference has Σ g² and the best of all sets.</summary>
    [Test]
    public void TheMostImportantTensorsWithinTheBudgetTrain()
    {
        using ParameterSet parameters = new(Device, Shapes);
        AdamWOptions options = new() { GradientClip = 0, WeightDecay = 0 };
        using Optimizer optimizer = OptimizerMethods
            .Find("sgd")
            .Create(parameters, options, new Dictionary<string, double> { ["momentum"] = 0 });
        TensorBudget budget = new(optimizer, 0.5, 3);
        Random random = new(8);
        budget.Begin(1);
        double[] importance = [.. Fill(parameters, random).Select(gradient => gradient.Sum(value => value * value))];
        optimizer.Step(0.1);
        long[] costs = [.. Shapes.Select(shape => shape.Shape.Count)];
        int best = Enumerable
            .Range(0, 1 << Shapes.Length)
            .Where(set => Members(set).Sum(i => costs[i]) <= costs.Sum() / 2)
            .MaxBy(set => Members(set).Sum(i => importance[i]));
        budget.Begin(2);
        Assert.That(
            Enumerable.Range(0, Shapes.Length).Where(i => !parameters.Parameters[i].IsPaused),
            Is.EqualTo(Members(best))
        );
        budget.Begin(4);
        Assert.That(budget.Training, Is.EqualTo(Shapes.Length), "all train to be measured");

        IEnumerable<int> Members(int set) => Enumerable.Range(0, Shapes.Length).Where(i => (set >> i) % 2 == 1);
    }

    [TestCase("adamw")]
    [TestCase("adafactor")]
    [TestCase("muon")]
    [TestCase("sgd")]
    public void WhatIsPausedStaysWithItsStateToTheBit(string name)
    {
        using ParameterSet parameters = new(Device, Shapes, rates: [1, 2, 1, 1, 2]);
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, new AdamWOptions());
        TensorBudget budget = new(optimizer, 0.5, 100);
        Random random = new(8);
        budget.Begin(1);
        Fill(parameters, random);
        optimizer.Step(0.1);
        float[][] before = [.. parameters.Parameters.Select(parameter => parameter.Master.ToArray())];
        Dictionary<string, float[]> states = States(optimizer);
        for (int step = 2; step <= 3; step++)
        {
            budget.Begin(step);
            Fill(parameters, random);
            optimizer.Step(0.1);
        }

        Dictionary<string, float[]> after = States(optimizer);
        Assert.That(budget.Training, Is.InRange(1, Shapes.Length - 1));
        for (int i = 0; i < Shapes.Length; i++)
        {
            Parameter parameter = parameters.Parameters[i];
            Assert.That(
                parameter.Master.ToArray().SequenceEqual(before[i]),
                Is.EqualTo(parameter.IsPaused),
                parameter.Name
            );
            foreach (string state in states.Keys.Where(state => state.EndsWith($".{parameter.Name}")))
                Assert.That(after[state].SequenceEqual(states[state]), Is.EqualTo(parameter.IsPaused), state);
        }
    }

    [TestCase("none", "adamw")]
    [TestCase("none", "muon")]
    [TestCase("lora", "adamw")]
    [TestCase("dora", "adamw")]
    public void AResumedRunEndsWithTheSameBits(string adapter, string optimizer)
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        List<int?> trained = [];
        using (Trainer trainer = new(model, Options(optimizer)))
        {
            Checkpoints saving = new(
                5,
                () =>
                {
                    if (trainer.Progress.Step == 5)
                        trainer.Save(path);
                }
            );
            trainer.Run(Records, callbacks: [saving, new Counts(trained)]);
        }

        int all = parameters.Parameters.Count;
        Assert.That(trained, Has.Count.EqualTo(7));
        Assert.That(
            trained.Select(count => count == all),
            Is.EqualTo(new[] { true, false, false, true, false, false, true })
        );
        float[] whole = Masters(parameters);
        (CausalLanguageModel other, ParameterSet resumed) = Create(adapter);
        using (Trainer trainer = new(other, Options(optimizer)))
        {
            using var state = TrainerState.Open(path);
            trainer.Restore(state);
            trainer.Run(Records);
        }

        Assert.That(Masters(resumed), Is.EqualTo(whole));
    }

    /// <summary>Backward of a linear layer leaves the gradient of a paused weight alone.</summary>
    [Test]
    public void NoGradientIsComputedForWhatIsPaused([Values("none", "lora")] string adapter)
    {
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        parameters.EnableGradients();
        Parameter[] paused =
        [
            .. parameters.Parameters.Where(parameter =>
                parameter.Name.Contains("up_proj", StringComparison.Ordinal)
                && !parameter.Name.Contains("lora_B", StringComparison.Ordinal)
            ),
        ];
        Assert.That(paused, Is.Not.Empty);
        foreach (Parameter parameter in paused)
            parameter.IsPaused = true;
        var batch = Batch.Create([.. Records.Take(3)], 0);
        using BatchTensors tensors = new(Device, batch);
        using Spectral.Training.Autograd.Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1);
        tape.Backward();
        foreach (Parameter parameter in parameters.Parameters.Where(parameter => parameter.Name.Contains("_proj")))
        {
            float[] gradient = parameter.Gradient!.ToArray();
            Assert.That(gradient.All(value => value == 0), Is.EqualTo(parameter.IsPaused), parameter.Name);
        }
    }

    /// <summary>
    /// With all below the last layer paused, backward has as many operations as in a model where nothing below is
    /// adapted, and the gradients of what trains have the same bits as with all of them.
    /// </summary>
    [Test]
    public void BackwardEndsAtTheLowestTensorThatTrains(
        [Values("lora", "dora")] string adapter,
        [Values] bool checkpoint
    )
    {
        string last = $".{TinyModels.Llama.Layers - 1}.";
        (CausalLanguageModel model, ParameterSet parameters) = Create(adapter);
        parameters.EnableGradients();
        (int all, Dictionary<string, float[]> expected) = Backward(model, parameters);
        foreach (Parameter parameter in parameters.Parameters)
            parameter.IsPaused = !parameter.Name.Contains($"{last}mlp.down_proj", StringComparison.Ordinal);
        (int few, Dictionary<string, float[]> actual) = Backward(model, parameters);

        CausalLanguageModel other = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        AdapterOptions alone = new()
        {
            Rank = 2,
            TopK = 2,
            TargetModules = [$"layers{last}mlp.down_proj"],
        };
        Adapter attached = Keep(Adapter.Attach(other, AdapterMethods.Find(adapter), alone));
        attached.Parameters.EnableGradients();
        Assert.That(few, Is.EqualTo(Backward(other, attached.Parameters).Operations).And.LessThan(all));
        foreach (Parameter parameter in parameters.Parameters)
        {
            Assert.That(
                actual[parameter.Name],
                parameter.IsPaused ? Is.All.Zero : Is.EqualTo(expected[parameter.Name]),
                parameter.Name
            );
        }

        (int Operations, Dictionary<string, float[]> Gradients) Backward(CausalLanguageModel trained, ParameterSet of)
        {
            of.ClearGradients();
            using BatchTensors tensors = new(Device, Batch.Create([.. Records.Take(3)], 0));
            using Spectral.Training.Autograd.Tape tape = new(Device);
            using Tensor loss = trained.Loss(tape, tensors, 1, checkpoint);
            int operations = tape.Count;
            tape.Backward();
            return (operations, of.Parameters.ToDictionary(one => one.Name, one => one.Gradient!.ToArray()));
        }
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        (CausalLanguageModel model, _) = Create("none");
        Refused(Options() with { FlopBudget = 1 }, "--flop-budget 1: expected a number above 0 and below 1");
        Refused(Options() with { FlopBudget = 1e-6 }, "no tensor fits into it, expected at least");
        Refused(Options() with { FlopInterval = 1 }, "--flop-interval 1: expected a whole number of at least 2");
        Refused(Options() with { CudaGraph = true }, "expected no --graph");
        Refused(Options("mezo"), "expected no --flop-budget");
        Assert.That(
            () => Options().RequireSuits(AdapterMethods.Find("adalora")),
            Throws.TypeOf<InputException>().With.Message.Contains("expected no --flop-budget")
        );

        void Refused(TrainerOptions options, string message) =>
            Assert.That(
                () => new Trainer(model, options),
                Throws.TypeOf<InputException>().With.Message.Contains(message)
            );
    }

    private (CausalLanguageModel Model, ParameterSet Parameters) Create(string adapter)
    {
        if (adapter == "none")
        {
            CausalLanguageModel whole = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
            return (whole, whole.Trainable!);
        }

        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter attached = Keep(
            Adapter.Attach(model, AdapterMethods.Find(adapter), new AdapterOptions { Rank = 2, TopK = 2 })
        );
        TestAdapters.Randomize(attached, 2);
        return (model, attached.Parameters);
    }

    private static double[][] Fill(ParameterSet parameters, Random random) =>
        [
            .. parameters.Parameters.Select(parameter =>
            {
                float[] values =
                [
                    .. Enumerable.Range(0, (int)parameter.Shape.Count).Select(_ => random.NextSingle() - 0.5f),
                ];
                parameter.Gradient!.CopyFrom(values);
                return Array.ConvertAll(values, value => (double)value);
            }),
        ];

    private static Dictionary<string, float[]> States(Optimizer optimizer) =>
        optimizer
            .States.Where(state => state.Type == DType.F32)
            .ToDictionary(
                state => state.Name,
                state =>
                {
                    using Tensor tensor = state.Open();
                    return tensor.ToArray();
                }
            );

    private static float[] Masters(ParameterSet parameters) =>
        [.. parameters.Parameters.SelectMany(parameter => parameter.Master.ToArray())];

    private sealed class Counts(List<int?> trained) : ITrainerCallback
    {
        public void OnStep(StepReport report) => trained.Add(report.TrainedTensors);
    }
}
