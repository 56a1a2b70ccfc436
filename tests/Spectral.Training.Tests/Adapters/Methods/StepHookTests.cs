using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// What happens around an optimizer step: penalties before the norm, rates of their own, methods that act between
/// steps.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class StepHookTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        TargetModules = ["q_proj", "down_proj"],
        LearningRateRatio = 8,
    };

    private static readonly TrainerOptions Training = new()
    {
        Steps = 5,
        Batch = 3,
        Accumulate = 2,
        LearningRate = 1e-2,
        LogEvery = 0,
        FixedShapes = true,
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [Test]
    public void LHasARateOfItsOwn()
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options);
        TestAdapters.Randomize(adapter, 3);
        float[][] before = [.. adapter.Parameters.Parameters.Select(parameter => parameter.Master.ToArray())];
        using (AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions { Epsilon = 0, WeightDecay = 0 }))
        {
            Backward(model);
            optimizer.Configure(1e-3);
            optimizer.Update();
        }
        Assert.That(adapter.Parameters.Rates, Is.EqualTo(new[] { 8, 1.0 }), "one buffer each");
        foreach ((Parameter parameter, float[] values) in adapter.Parameters.Parameters.Zip(before))
        {
            // Adam's first step is the rate times the gradient's sign.
            double rate = parameter.Name.EndsWith(LoraNames.B, StringComparison.Ordinal) ? 8e-3 : 1e-3;
            foreach ((float value, float old) in parameter.Master.ToArray().Zip(values))
                Assert.That(Math.Abs(value - old), Is.EqualTo(rate).Within(1e-6), parameter.Name);
        }
    }

    [Test]
    public void ARatioOfOneChangesNoBitAndNoBuffer()
    {
        (float[] Masters, int Buffers) plain = Train("lora", Options with { LearningRateRatio = 1 });
        (float[] Masters, int Buffers) other = Train("lora", Options);
        Assert.That((plain.Buffers, other.Buffers), Is.EqualTo((1, 2)));
        using ParameterSet alike = new(Device, [("a", 3), ("b", 5)], rates: [1, 1]);
        Assert.That(alike.Masters, Has.Count.EqualTo(1));
        Assert.That(
            () => new ParameterSet(Device, [("a", 3)], rates: [1, 2]),
            Throws.ArgumentException.With.Message.Contains("2 learning-rate factors, expected 1")
        );
    }

    [Test]
    public void ThePenaltyIsAddedOncePerStepAndIsInTheNorm()
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, new Scheduled(), Options);
        using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions { GradientClip = 0 });
        Backward(model);
        Backward(model);
        var losses = adapter.Parameters.Parameters.ToDictionary(
            parameter => parameter.Name,
            parameter => parameter.Gradient!.ToArray()
        );
        optimizer.CompleteGradients();
        double norm = optimizer.GradientNorm();
        double sum = 0;
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            float[] gradient = parameter.Gradient!.ToArray();
            float[] master = parameter.Master.ToArray();
            bool penalised = parameter.Name.EndsWith(LoraNames.A, StringComparison.Ordinal);
            for (int i = 0; i < gradient.Length; i++)
            {
                Assert.That(
                    gradient[i],
                    Is.EqualTo(losses[parameter.Name][i] + (penalised ? 2 * 0.25 * master[i] : 0)).Within(1e-6),
                    parameter.Name
                );
            }

            sum += gradient.Sum(value => (double)value * value);
        }
        Assert.That(norm, Is.EqualTo(Math.Sqrt(sum)).Within(1e-5 * norm));
        optimizer.Step(0);
        optimizer.CompleteGradients();
        Assert.That(
            adapter.Modules[0].Factors[LoraNames.A].Gradient!.ToArray(),
            Is.Not.All.Zero,
            "and again in the next step"
        );
    }

    [Test]
    public void AReplayedStepHasThePenaltyAndTheRates([Values(DType.F32, DType.BF16)] DType type)
    {
        float[] eager = Train(new Scheduled { Schedules = false }, Training, type);
        float[] graph = Train(new Scheduled { Schedules = false }, Training with { CudaGraph = true }, type);
        Assert.That(graph, Is.EqualTo(eager));
        Assert.That(
            Train(new Scheduled { Schedules = false, Weight = 0 }, Training, type),
            Is.Not.EqualTo(eager),
            "it makes a difference"
        );
    }

    [Test]
    public void AMethodActsBeforeAndAfterTheUpdate([Values] bool fixedShapes)
    {
        Scheduled method = new();
        Train(method, Training with { FixedShapes = fixedShapes });
        Assert.That(
            method.Calls,
            Is.EqualTo(Enumerable.Range(1, 5).SelectMany(step => new[] { ("before", step, 5), ("after", step, 5) }))
        );
    }

    /// <summary>
    /// A NaN in what a method keeps of gradients would stay there; what is due at a step is due all the same.
    /// </summary>
    [Test]
    public void OfASkippedStepAMethodIsToldOnlyAfterwards()
    {
        Scheduled method = new();
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, method, Options);
        using Trainer trainer = new(model, Training);
        int step = 0;
        adapter.Parameters.Accumulated += () =>
        {
            if (++step == 3)
            {
                adapter
                    .Parameters.Parameters[1]
                    .Gradient!.CopyFrom([
                        .. Enumerable.Repeat(float.NaN, (int)adapter.Parameters.Parameters[1].Shape.Count),
                    ]);
            }
        };
        Assert.That(trainer.Run(Records).Skipped, Is.EqualTo(1));
        Assert.That(
            method.Calls.Where(call => call.Event == "before").Select(call => call.Step),
            Is.EqualTo(new[] { 1, 2, 4, 5 })
        );
        Assert.That(
            method.Calls.Where(call => call.Event == "after").Select(call => call.Step),
            Is.EqualTo(Enumerable.Range(1, 5))
        );
    }

    [Test]
    public void AChangeOfFrozenFactorsReachesTheModel()
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, new Scheduled(), Options);
        float[] before = Logits(model);
        adapter.AfterUpdate(1, 5);
        Assert.That(Logits(model), Is.EqualTo(before), "not yet changed");
        adapter.AfterUpdate(3, 5);
        Assert.That(Logits(model), Is.Not.EqualTo(before));
    }

    [Test]
    public void StateIsNotStoredAndNotLoaded()
    {
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "adapter")).FullName;
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using (var adapter = Adapter.Attach(model, new Scheduled(), Options))
        {
            Assert.That(adapter.Modules[0].Factors["seen"].Master.ToArray(), Is.All.EqualTo(1));
            adapter.Save(directory);
        }
        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        Assert.That(file.Tensors.Keys, Has.None.Contains("seen").And.Some.Contains(LoraNames.A));
    }

    [Test]
    public void RestartingForgetsTheMoments()
    {
        using ParameterSet parameters = new(Device, [("a", 4)]);
        using AdamWOptimizer optimizer = new(
            parameters,
            new AdamWOptions
            {
                Epsilon = 0,
                WeightDecay = 0,
                GradientClip = 0,
            }
        );
        for (int step = 0; step < 3; step++)
        {
            parameters.Gradients[0].CopyFrom([.. Enumerable.Repeat(5f - step, 64)]);
            optimizer.Configure(0.5);
            optimizer.Update();
        }
        parameters.Masters[0].Clear();
        parameters.NotifyRestarted();
        parameters.Gradients[0].CopyFrom([.. Enumerable.Repeat(-0.01f, 64)]);
        optimizer.Update();
        Assert.That(
            parameters.Parameters[0].Master.ToArray(),
            Is.EqualTo(new float[] { 0.5f, 0.5f, 0.5f, 0.5f }).Within(1e-6f),
            "a first step again"
        );
        Assert.That(parameters.StepState.Read().Steps, Is.EqualTo(1));
    }

    [Test]
    public void WhatCannotBeScheduledIsRefused()
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, new Scheduled(), Options);
        Assert.That(
            () => new Trainer(model, Training with { CudaGraph = true }),
            Throws.TypeOf<InputException>().With.Message.Contains("scheduled").And.Message.Contains("--graph")
        );
        using Trainer endless = new(model, Training with { Steps = null });
        Assert.That(
            () => endless.Step(1, [Batch.Create(Records, 0)], 1e-3),
            Throws.InvalidOperationException.With.Message.Contains("number of steps")
        );
    }

    private void Backward(CausalLanguageModel model)
    {
        using BatchTensors batch = new(Device, Batch.Create(Records, 0));
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, batch, 1);
        tape.Backward();
    }

    private float[] Train(AdapterMethod method, TrainerOptions options, DType type = DType.F32)
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder, type);
        using var adapter = Adapter.Attach(model, method, Options);
        using Trainer trainer = new(model, options);
        trainer.Run(Records);
        return [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())];
    }

    private (float[] Masters, int Buffers) Train(string method, AdapterOptions options)
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options);
        using Trainer trainer = new(model, Training);
        trainer.Run(Records);
        return (
            [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())],
            adapter.Parameters.Masters.Count
        );
    }

    private float[] Logits(CausalLanguageModel model) => Losses.Logits(model, Batch.Create(Records, 0));

    /// <summary>
    /// A LoRA with the penalty 0.25·‖A‖², a frozen term that step 3 makes something of, and a memory of its own.
    /// </summary>
    private sealed class Scheduled : AdapterMethod
    {
        private Dictionary<string, float[]> _masters = [];

        public bool Schedules { get; init; } = true;

        public double Weight { get; init; } = 0.25;

        public List<(string Event, int Step, int Steps)> Calls { get; } = [];

        public override string Name => "scheduled";

        public override string PeftType => "LORA";

        public override string Formula => "";

        public override string Source => "";

        public override string Use => "";

        public override bool ActsBetweenSteps => Schedules;

        public override AdapterForm Form(AdapterBuilder layer)
        {
            LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
            layer.State("seen", 3, Start.Ones);
            return new AdapterForm
            {
                Terms =
                [
                    new LowRankTerm(
                        layer.Frozen("left", (layer.Out, 1)),
                        layer.Frozen("right", (1, layer.In), Start.Ones)
                    ),
                    term,
                ],
                Penalty = term.Right.Dot(term.Right).Scale(Weight),
            };
        }

        public override void BeforeUpdate(AdapterStep step)
        {
            Calls.Add(("before", step.Number, step.Total));
            Assert.That(step.Modules[0].Factors[LoraNames.B].Gradient!.ToArray(), Is.Not.All.Zero);
            _masters = Masters(step);
        }

        public override bool AfterUpdate(AdapterStep step)
        {
            Calls.Add(("after", step.Number, step.Total));
            if (_masters.Count > 0)
                Assert.That(Masters(step), Is.Not.EqualTo(_masters));
            _masters = [];
            if (step.Number != 3)
                return false;
            foreach (AdaptedModule module in step.Modules)
                module.Factors["left"].Master.CopyFrom([.. Enumerable.Repeat(0.1f, module.Shape.Out)]);
            return true;
        }

        private static Dictionary<string, float[]> Masters(AdapterStep step) =>
            step.Parameters.Parameters.ToDictionary(
                parameter => parameter.Name,
                parameter => parameter.Master.ToArray()
            );
    }
}
