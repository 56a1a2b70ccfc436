using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Planning;

/// <summary>Finds how much device memory a run needs, without its weights and without computing.</summary>
/// <remarks>
/// The run itself is made, by the code that trains, on a rehearsal of the device (<see cref="Device.Rehearse"/>): there
/// is no formula that could differ from what the code allocates. Two steps are made, as the second is the one that a
/// captured run records. The host memory of the driver, and what its libraries take for themselves, are not counted,
/// and neither is the memory of the CUDA context.
/// </remarks>
/// <example>
/// <code>
/// PlannedRun run = new(ModelConfig.Load(modelPath), DType.F32, new TrainerOptions { Batch = 4 }, Length: 512)
/// {
///     Method = AdapterMethods.Find("lora"),
/// };
/// MemoryPlan plan = MemoryPlanner.Plan(run, device);
/// Console.WriteLine($"{plan.Peak >> 20} MiB, {plan.Activations >> 20} of them for activations");
/// </code>
/// </example>
public static class MemoryPlanner
{
    private const int Steps = 2;

    /// <summary>Rehearses the start and two steps of a run on records of full length.</summary>
    /// <param name="run">The run.</param>
    /// <param name="device">The device that it is to run on.</param>
    /// <exception cref="InputException">The adapter, the optimizer or the model does not take the options.</exception>
    public static MemoryPlan Plan(PlannedRun run, Device device)
    {
        using Device rehearsal = device.Rehearse();
        DeviceMemory memory = rehearsal.Memory;
        var ranks = RankGroup.Rehearse(run.Ranks);
        using var model = CausalLanguageModel.Unset(
            run.Model,
            rehearsal,
            run.Type,
            run.Method is null,
            run.Quantization,
            run.Shards ? ranks : null
        );
        long weights = memory.InUse;
        EncodedRecord[] records =
        [
            .. Enumerable.Repeat(Record(run, new PlannedRecords(run.Length, run.LossTokens)), Records(run)),
        ];
        TrainerOptions options = run.Training with
        {
            Steps = Math.Max(run.Training.Warmup, run.Training.Steps ?? 1000),
        };
        using Adapter? adapter = run.Method is { } method ? Attach(run, method, model, records) : null;
        long attached = memory.InUse;
        bool learns = OptimizerMethods.Find(options.OptimizerChoice.Name).NeedsGradients;
        if (learns)
            model.Trainable!.EnableGradients();
        long gradients = memory.InUse - attached;
        using var trainer = new Trainer(model, options, ranks: ranks);
        long ready = memory.InUse;
        long start = memory.Peak;
        memory.ResetPeak();
        Step(trainer, records);
        long step = memory.Peak;
        long evaluation = Evaluate(model, run, ranks);
        model.Shards?.Close();
        (long activations, long lossHead) = Forward(
            model,
            run,
            records[..ranks.LargestShare(run.Training.Batch)],
            learns
        );
        return new MemoryPlan
        {
            Weights = weights,
            Adapter = attached - weights,
            Gradients = gradients,
            Optimizer = ready - attached - gradients,
            Activations = activations,
            LossHead = lossHead,
            Workspace = step - ready - activations - lossHead,
            Start = start,
            Evaluation = evaluation,
        };
    }

    /// <summary>Rehearses work on a device and returns the most memory that it needed, in bytes.</summary>
    /// <param name="device">The device that the work is to run on.</param>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="type">The compute type.</param>
    /// <param name="quantization">
    /// The form in which the linear layers are kept; null: in the compute type.
    /// </param>
    /// <param name="work">The work on the model, whose weights are frozen.</param>
    public static long Peak(
        Device device,
        ModelConfig config,
        DType type,
        BaseQuantization? quantization,
        Action<CausalLanguageModel> work
    )
    {
        using Device rehearsal = device.Rehearse();
        using var model = CausalLanguageModel.Unset(config, rehearsal, type, quantization: quantization);
        work(model);
        return rehearsal.Memory.Peak;
    }

    private static int Records(PlannedRun run) =>
        Math.Max(run.Training.RecordsPerStep, run.Method is { StartsFromData: true } ? run.CalibrationRecords : 1);

    private static EncodedRecord Record(PlannedRun run, PlannedRecords sizes)
    {
        int lossFrom = Math.Max(1, sizes.Length - (sizes.LossTokens ?? sizes.Length));
        var record = new EncodedRecord(new int[sizes.Length], lossFrom, lossFrom, Cut: false);
        return TakesPairs(run) ? record with { Rejected = record } : record;
    }

    private static bool TakesPairs(PlannedRun run) => LossMethods.Find(run.Training.Loss.Name).TakesPairs;

    private static Adapter Attach(
        PlannedRun run,
        AdapterMethod method,
        CausalLanguageModel model,
        EncodedRecord[] records
    ) =>
        run.InitAdapter is { } folder
            ? Adapter.Load(model, folder)
            : Adapter.Attach(
                model,
                method,
                run.Adapter,
                method.StartsFromData
                    ? ModelCalibration.OfTraining(model, records, run.Training, run.CalibrationRecords)
                    : null
            );

    /// <summary>Rehearses the evaluation of one batch.</summary>
    private static long Evaluate(CausalLanguageModel model, PlannedRun run, RankGroup ranks)
    {
        if (run.Evaluation is not { } sizes)
            return 0;
        DeviceMemory memory = model.Device.Memory;
        memory.ResetPeak();
        Evaluator.Evaluate(
            model,
            [.. Enumerable.Repeat(Record(run, sizes), run.Training.Batch)],
            run.Training.Loss,
            run.Training.Batch,
            packTo: run.Training.PackTo,
            ranks: ranks
        );
        return memory.Peak;
    }

    private static void Step(Trainer trainer, EncodedRecord[] records)
    {
        using var stop = new CancellationTokenSource();
        try
        {
            trainer.Run(records, callbacks: [new StopAfter(Steps, stop)], cancellation: stop.Token);
        }
        catch (OperationCanceledException)
        {
            // As many steps were made as were wanted.
        }
    }

    /// <summary>Makes one more forward pass to divide what a step needs.</summary>
    private static (long Activations, long LossHead) Forward(
        CausalLanguageModel model,
        PlannedRun run,
        EncodedRecord[] records,
        bool learns
    )
    {
        DeviceMemory memory = model.Device.Memory;
        StepState state = model.Trainable!.StepState;
        long before = memory.InUse;
        using var batch = new BatchTensors(
            model.Device,
            TakesPairs(run) ? Batch.CreatePairs(records) : Batch.Create(records)
        );
        StepLoss loss = LossMethods.Find(run.Training.Loss.Name).Begin(model, run.Training.Loss.Settings);
        loss.Begin([batch.Source], RankGroup.Alone);
        (long layers, long gathered) = (before, 0);
        memory.ResetPeak();
        using var tape = new Tape(model.Device, learns, state)
        {
            Sampling = run.Training.SampledRows is { } share ? new RowSampling(state, share) : null,
        };
        model.AfterLayer = (_, _) =>
        {
            (layers, gathered) = (memory.InUse, model.Shards?.GatheredBytes ?? 0);
            memory.ResetPeak();
        };
        using Tensor sum = loss.Run(0, tape, batch, run.Training.ActivationCheckpointing && learns);
        model.AfterLayer = null;
        return (layers - before - gathered, memory.Peak - layers);
    }

    private sealed class StopAfter(int steps, CancellationTokenSource stop) : ITrainerCallback
    {
        public void OnStep(StepReport report)
        {
            if (report.Step >= steps)
                stop.Cancel();
        }
    }
}
