using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Bench.Cases;

/// <summary>
/// Peak memory of a whole training step with a LoRA, beside that of a forward pass: optimizers that need no backward
/// take no more than inference.
/// </summary>
internal sealed class OptimizerMemoryCase : BenchCase
{
    private const int Rank = 16;

    public override string Name => "optimizers-memory";
    public override int Target => 0;
    public override string Description =>
        "Peak bytes of a step without backward, beside those of a forward pass and of a step of AdamW.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (ModelConfig config, int length) = machine.Choose(
            (TrainingSetup.Llama(2, 32000), 1024),
            (TrainingSetup.Llama(1, 32000), 512),
            (TrainingSetup.Tiny, 64)
        );
        return [new Plan($"{config.Layers} layers {length} tokens", () => Prepare(machine, config, length))];
    }

    private static Scenario Prepare(Machine machine, ModelConfig config, int length)
    {
        var scenario = new Scenario();
        var random = new Random(1);
        int[] tokens = [.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabularySize))];
        var batch = Batch.Create([new EncodedRecord(tokens, 1, 1, Cut: false)]);
        CausalLanguageModel frozen = Adapted(machine, scenario, config);
        scenario.Variants.Add(
            Measured(machine, "forward", () => Forward(machine, frozen, batch)) with
            {
                Role = Role.Plain,
            }
        );
        foreach (OptimizerMethod method in OptimizerMethods.All)
        {
            if (method.NeedsGradients && method.Name != OptimizerChoice.Default)
                continue;
            TrainerOptions options = new() { Steps = int.MaxValue, OptimizerChoice = new OptimizerChoice(method.Name) };
            Trainer trainer = scenario.Own(new Trainer(Adapted(machine, scenario, config), options));
            int step = 0;
            scenario.Variants.Add(Measured(machine, method.Name, () => trainer.Step(++step, [batch], 1e-6).Loss));
        }

        return scenario;
    }

    private static CausalLanguageModel Adapted(Machine machine, Scenario scenario, ModelConfig config)
    {
        CausalLanguageModel model = scenario.Own(TrainingSetup.Model(machine, config));
        scenario.Own(Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = Rank }));
        return model;
    }

    private static double Forward(Machine machine, CausalLanguageModel model, Batch batch)
    {
        using BatchTensors tensors = new(machine.Device, batch);
        using Tape tape = new(machine.Device, records: false);
        using Tensor loss = model.Loss(tape, tensors, 1f / batch.LossTokens);
        return loss.ToArray()[0];
    }

    private static Variant Measured(Machine machine, string name, Func<double> run) =>
        new(name, _ => run())
        {
            MostSamples = 3,
            Check = () => run() is var loss && double.IsFinite(loss) ? null : $"the loss is {loss}",
            Figures = _ =>
            {
                machine.Device.Memory.ResetPeak();
                long before = machine.Device.Memory.InUse;
                run();
                machine.Device.Synchronize();
                return new Dictionary<string, double> { ["peak_bytes"] = machine.Device.Memory.Peak - before };
            },
        };
}
