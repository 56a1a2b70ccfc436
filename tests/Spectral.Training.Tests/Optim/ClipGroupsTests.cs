using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

/// <summary>Gradients clipped by the norms of groups; the reference scales them in double precision.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ClipGroupsTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly (string Name, Shape Shape)[] Shapes =
    [
        ("model.layers.0.self_attn.q_proj.weight", (6, 5)),
        ("model.layers.0.mlp.up_proj.weight", (4, 9)),
        ("model.layers.1.self_attn.q_proj.weight", (6, 5)),
        ("model.layers.1.self_attn.q_proj.bias", 6),
        ("model.norm.weight", 7),
    ];

    private static TrainerOptions Options(string? groups) =>
        new()
        {
            Steps = 6,
            Batch = 3,
            LearningRate = 1e-3,
            LogEvery = 0,
            OptimizerChoice = new OptimizerChoice("muon"),
            Optimizer = new AdamWOptions { GradientClip = 0.01, ClipGroups = groups },
        };

    private EncodedRecord[] Records { get; } = TinyModels.Records(10, TinyModels.Llama, new Random(31));

    [TestCase("component", "q_proj:0,2,3 up_proj:1 norm:4")]
    [TestCase("layer", "layers.0:0,1 layers.1:2,3 norm:4")]
    [TestCase("q_proj=0.25,layers.*=2", "q_proj:0,2,3 layers.*:1 others:4")]
    [TestCase("self_attn.*=0.1", "self_attn.*:0,2,3 others:1,4")]
    public void EachGroupIsClippedByItsOwnNorm(string text, string expected)
    {
        const double Clip = 0.5;
        using ParameterSet parameters = new(Device, Shapes);
        AdamWOptions options = new()
        {
            GradientClip = Clip,
            ClipGroups = text,
            WeightDecay = 0,
        };
        using Optimizer optimizer = OptimizerMethods
            .Find("sgd")
            .Create(parameters, options, new Dictionary<string, double> { ["momentum"] = 0 });
        Random random = new(3);
        double[][] gradients = [.. parameters.Parameters.Select(parameter => Fill(parameter.Gradient!, random))];
        StepResult result = optimizer.Step(0.1);
        Assert.That(result.GradientNorm, Is.EqualTo(NormOf(gradients)).Within(1e-5), "the norm before clipping");
        GroupNorm[] norms = [.. optimizer.GroupNorms()!];
        string[] groups = expected.Split(' ');
        Assert.That(norms.Select(norm => norm.Group), Is.EqualTo(groups.Select(group => group.Split(':')[0])));
        foreach ((GroupNorm norm, string group) in norms.Zip(groups))
        {
            int[] members = [.. group.Split(':')[1].Split(',').Select(int.Parse)];
            double own = NormOf([.. members.Select(member => gradients[member])]);
            double most = norm.Group switch
            {
                "self_attn.*" => 0.1,
                "layers.*" => 2,
                "q_proj" when text != "component" => 0.25,
                _ => Clip,
            };
            Assert.That(norm.Norm, Is.EqualTo(own).Within(1e-5), norm.Group);
            Assert.That(norm.MaxNorm, Is.EqualTo(most), norm.Group);
            Assert.That(norm.IsClipped, Is.EqualTo(own > most), norm.Group);
            foreach (int member in members)
            {
                double factor = Math.Min(1, most / (own + 1e-6));
                Assert.That(
                    parameters.Parameters[member].Master.ToArray(),
                    Is.EqualTo(gradients[member].Select(value => -0.1 * factor * value)).Within(1e-6),
                    Shapes[member].Name
                );
            }
        }
    }

    /// <summary>With a single group it is clipping by the global norm, but for the rounding of a product.</summary>
    [Test]
    public void OneGroupIsTheGlobalNorm()
    {
        float[] one = Train(Options(".*=0.01"));
        Assert.That(one, Is.EqualTo(Train(Options(null))).Within(1e-6f));
        Assert.That(one, Is.Not.EqualTo(Train(Options("component"))).Within(1e-5f));
    }

    [Test]
    public void AResumedRunEndsWithTheSameBits()
    {
        string path = Path.Combine(Folder.Path, "state.safetensors");
        float[] whole = Train(Options("component"), path);
        using var state = TrainerState.Open(path);
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using (Trainer other = new(model, Options("layer")))
        {
            Assert.That(
                () => other.Restore(state),
                Throws.TypeOf<InputException>().With.Message.Contains("the run had the option Optimizer")
            );
        }

        using Trainer trainer = new(model, Options("component"));
        trainer.Restore(state);
        trainer.Run(Records);
        Assert.That(Masters(model), Is.EqualTo(whole));
    }

    [Test]
    public void ACapturedStepGivesTheSameBits() =>
        Assert.That(
            Train(Options("component") with { CudaGraph = true }),
            Is.EqualTo(Train(Options("component") with { FixedShapes = true }))
        );

    [Test]
    public void ASkippedStepChangesNothing()
    {
        using ParameterSet parameters = new(Device, Shapes);
        AdamWOptions options = new() { ClipGroups = "component" };
        using Optimizer optimizer = OptimizerMethods.Find("adamw").Create(parameters, options);
        parameters.Parameters[1].Gradient!.CopyFrom([.. Enumerable.Repeat(float.NaN, 36)]);
        parameters.Parameters[0].Gradient!.CopyFrom([.. Enumerable.Repeat(3f, 30)]);
        Assert.That(optimizer.Step(0.1).Skipped, Is.True);
        Assert.That(parameters.Masters.SelectMany(master => master.ToArray()), Is.All.Zero);
        Assert.That(optimizer.GroupNorms()!.Select(norm => norm.Norm), Has.One.NaN);
    }

    [Test]
    public void FactorsOfAnAdapterGoWithTheirLayersAndTheLogHasTheNorms()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Keep(Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 2 }));
        using Trainer trainer = new(model, Options("component") with { Steps = 1 });
        string path = Path.Combine(Folder.Path, "train_log.jsonl");
        using (TrainingLog log = new(path))
            trainer.Run(Records, callbacks: [log]);
        string line = File.ReadAllLines(path).Single();
        Assert.That(line, Does.Contain("\"group_norms\":{\"q_proj\":").And.Contain("\"down_proj\":"));
    }

    [TestCase("component", 0.0, "adamw", "expected a gradient clip above 0")]
    [TestCase("layer", 1.0, "mezo", "mezo clips nothing")]
    [TestCase("x_proj=1", 1.0, "adamw", "matches nothing that trains; there are: ")]
    [TestCase("q_proj", 1.0, "adamw", "expected component, layer or REGEX=C entries")]
    [TestCase("q_proj=0", 1.0, "adamw", "expected component, layer or REGEX=C entries")]
    [TestCase("q_(=1", 1.0, "adamw", "no regular expression")]
    [TestCase("q_proj=1,q_proj=2", 1.0, "adamw", "expected every expression once")]
    public void WhatDoesNotFitIsNamed(string text, double clip, string optimizer, string message)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        TrainerOptions options = Options(text) with { OptimizerChoice = new OptimizerChoice(optimizer) };
        options = options with { Optimizer = options.Optimizer with { GradientClip = clip } };
        Assert.That(() => new Trainer(model, options), Throws.TypeOf<InputException>().With.Message.Contains(message));
    }

    private float[] Train(TrainerOptions options, string? path = null)
    {
        using CausalLanguageModel model = TinyModels.Trainable(TinyModels.Llama, Device);
        using Trainer trainer = new(model, options);
        trainer.Run(Records, callbacks: path is null ? [] : [new Checkpoints(3, () => Save(trainer, path))]);
        return Masters(model);
    }

    private static void Save(Trainer trainer, string path)
    {
        if (trainer.Progress.Step == 3)
            trainer.Save(path);
    }

    private static float[] Masters(CausalLanguageModel model) =>
        [.. model.Trainable!.Parameters.SelectMany(parameter => parameter.Master.ToArray())];

    private static double[] Fill(Tensor tensor, Random random)
    {
        float[] values = [.. Enumerable.Range(0, (int)tensor.Count).Select(_ => random.NextSingle() - 0.5f)];
        tensor.CopyFrom(values);
        return Array.ConvertAll(values, value => (double)value);
    }

    private static double NormOf(double[][] gradients) =>
        Math.Sqrt(gradients.Sum(gradient => gradient.Sum(value => value * value)));
}
