using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>
/// Dropout on the adapters' input: the same mask in forward, backward and a recomputed forward, another for each batch,
/// none outside training.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DropoutTrainingTests(DeviceKind kind) : TrainingTest(kind)
{
    private (CausalLanguageModel Model, Adapter Adapter) Create(double dropout, params string[] targets)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        var options = new AdapterOptions
        {
            Rank = 2,
            TopK = 2,
            Dropout = dropout,
            TargetModules = targets.Length > 0 ? targets : AdapterOptions.AllProjections,
        };
        Adapter adapter = Keep(Adapter.Attach(model, AdapterMethods.Find("speclora"), options));
        TestAdapters.Randomize(adapter, 2);
        adapter.Parameters.EnableGradients();
        return (model, adapter);
    }

    private double Loss(CausalLanguageModel model, StepState? state, bool backward = true, bool checkpoint = false)
    {
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device, records: backward, dropout: state);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
        if (backward)
            tape.Backward();
        return loss.ToArray()[0];
    }

    [TestCase("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj")]
    [TestCase("q_proj,v_proj,up_proj")]
    public void GradientsAreThoseOfTheMaskedLoss(string targets)
    {
        (CausalLanguageModel model, Adapter adapter) = Create(0.3, targets.Split(','));
        using StepState state = new(Device);
        state.SeedDropout(9);
        Loss(model, state);
        float[] gradient = [.. adapter.Parameters.Gradients.SelectMany(tensor => tensor.ToArray())];
        float[][] masters = [.. adapter.Parameters.Masters.Select(master => master.ToArray())];
        // Along the gradient the loss rises by its squared length.
        double square = gradient.Sum(value => (double)value * value);
        double step = 1.0 / 2048 / Math.Sqrt(square); // the loss bends within 1/64 already
        double Moved(double by)
        {
            int at = 0;
            foreach ((Tensor master, float[] values) in adapter.Parameters.Masters.Zip(masters))
                master.CopyFrom([.. values.Select(value => value + (float)(by * gradient[at++]))]);
            adapter.Parameters.NotifyChanged();
            return Loss(model, state, backward: false);
        }
        Assert.That((Moved(step) - Moved(-step)) / (2 * step), Is.EqualTo(square).Within(1).Percent);
    }

    [Test]
    public void CheckpointingMakesTheSameMasks()
    {
        (CausalLanguageModel model, Adapter adapter) = Create(0.3);
        using StepState state = new(Device);
        double loss = Loss(model, state);
        float[][] plain = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        Assert.That(Loss(model, state, checkpoint: true), Is.EqualTo(loss));
        Assert.That(adapter.Parameters.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(plain));
    }

    [Test]
    public void EveryBatchHasItsMaskAndEvaluationNone()
    {
        (CausalLanguageModel model, _) = Create(0.3);
        using StepState state = new(Device);
        double first = Loss(model, state);
        double whole = Loss(model, null);
        Assert.That(Loss(model, state), Is.EqualTo(first), "the same batch again");
        state.NextBatch();
        Assert.That(Loss(model, state), Is.Not.EqualTo(first));
        Assert.That(whole, Is.Not.EqualTo(first));
        (CausalLanguageModel plain, _) = Create(0);
        Assert.That(Loss(plain, state), Is.EqualTo(Loss(plain, null)).And.EqualTo(whole));
    }

    [Test]
    public void TrainingRepeatsAndKeepsTheSettingInTheFile()
    {
        double[] Run()
        {
            (CausalLanguageModel model, Adapter adapter) = Create(0.25);
            var losses = new List<double>();
            using Trainer trainer = new(
                model,
                new TrainerOptions
                {
                    Steps = 4,
                    Batch = 2,
                    Accumulate = 2,
                    Seed = 5,
                }
            );
            EncodedRecord[] records = [.. TinyModels.Records(8, model.Config, new Random(6))];
            trainer.Run(records, callbacks: [new Losses(losses)]);
            adapter.Save(Folder.Path);
            adapter.Dispose();
            using var loaded = Adapter.Load(model, Folder.Path);
            Assert.That(loaded.Options.Dropout, Is.EqualTo(0.25));
            return [.. losses];
        }
        Assert.That(Run(), Is.EqualTo(Run()));
    }

    [Test]
    public void AShareOfOneIsRefused() =>
        Assert.That(() => Create(1), Throws.TypeOf<InputException>().With.Message.Contains("below 1"));

    private sealed class Losses(List<double> losses) : ITrainerCallback
    {
        public void OnStep(StepReport report) => losses.Add(report.Loss);
    }
}
