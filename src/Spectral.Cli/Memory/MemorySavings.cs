using Spectral.Cli.Hosting;
using Spectral.Kernels;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Optim;
using Spectral.Training.Planning;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Memory;

/// <summary>Finds the options with which a command would need less device memory, and how much less.</summary>
internal static class MemorySavings
{
    private const string SmallState = "adamw8bit";

    /// <summary>Plans a training run once for each option that may save memory.</summary>
    /// <param name="run">The run as it is.</param>
    /// <param name="peak">Its own largest need, in bytes.</param>
    /// <param name="device">The device that it is to run on.</param>
    public static IReadOnlyList<MemorySaving> Of(PlannedRun run, long peak, Device device) =>
        Of(peak, Others(run).Select(other => (other.Option, Peak(other.Run, device))));

    /// <summary>Returns the options that save memory, the best first.</summary>
    /// <param name="peak">The largest need without them, in bytes.</param>
    /// <param name="others">Options, each with what plans the largest need with it.</param>
    public static IReadOnlyList<MemorySaving> Of(long peak, IEnumerable<(string Option, Func<long> Peak)> others) =>
        [
            .. others
                .Select(other => Planned(other.Option, other.Peak))
                .OfType<MemorySaving>()
                .Where(saving => saving.Peak < peak)
                .OrderBy(saving => saving.Peak),
        ];

    /// <summary>Does the work of a training run, and says which options would help if memory runs out.</summary>
    /// <param name="context">The command line, which is told.</param>
    /// <param name="run">The run, asked for only when memory ran out; null: it cannot be planned.</param>
    /// <param name="device">The device of the run.</param>
    /// <param name="work">The work.</param>
    public static void Explain(CommandContext context, Func<PlannedRun?> run, Device device, Action work) =>
        Explain(
            context,
            () =>
                run() is { } planned
                    ? (Peak(planned, device), Others(planned).Select(other => (other.Option, Peak(other.Run, device))))
                    : null,
            work
        );

    /// <summary>Does the work of a command, and says which options would help if memory runs out.</summary>
    /// <param name="context">The command line, which is told.</param>
    /// <param name="plan">
    /// What plans the largest need as it is, and with which other options; asked for only when memory ran out. Null: it
    /// cannot be planned.
    /// </param>
    /// <param name="work">The work.</param>
    public static void Explain(
        CommandContext context,
        Func<(Func<long> Peak, IEnumerable<(string Option, Func<long> Peak)> Others)?> plan,
        Action work
    )
    {
        try
        {
            work();
        }
        catch (CudaException error) when (error.IsOutOfMemory)
        {
            if (plan() is { } asked && Planned("", asked.Peak) is { Peak: var peak })
            {
                context.MemorySavings =
                [
                    .. Of(peak, asked.Others)
                        .Select(saving => $"{saving.Option} saves {MemorySize.Text(peak - saving.Peak)}"),
                ];
            }

            throw;
        }
    }

    private static Func<long> Peak(PlannedRun run, Device device) => () => MemoryPlanner.Plan(run, device).Peak;

    private static IEnumerable<(string Option, PlannedRun Run)> Others(PlannedRun run)
    {
        (int batch, int accumulate) = (run.Training.Batch, run.Training.Accumulate);
        if (!run.Training.ActivationCheckpointing)
        {
            yield return (
                "--checkpointing",
                run with
                {
                    Training = run.Training with { ActivationCheckpointing = true },
                }
            );
        }
        if (run.Training is { OffloadOptimizer: false, CudaGraph: false })
            yield return ("--offload-optimizer", run with { Training = run.Training with { OffloadOptimizer = true } });
        if (batch > 1)
        {
            int smaller = batch - batch / 2;
            yield return (
                $"--batch {smaller} --accumulate {2 * accumulate}",
                run with
                {
                    Training = run.Training with { Batch = smaller, Accumulate = 2 * accumulate },
                }
            );
        }

        // Joined sequences are as long as they may be, and none may be shorter than a record.
        int length = (run.Training.PackTo ?? run.Length) / 2;
        if (length > 1 && (run.Training.PackTo is null || length >= (run.LongestRecord ?? 0)))
        {
            yield return (
                $"--max-length {length}",
                run with
                {
                    Training = run.Training with { PackTo = run.Training.PackTo is null ? null : length },
                    Length = Math.Min(run.Length, length),
                    LossTokens = run.LossTokens is { } tokens ? Math.Min(tokens, length - 1) : null,
                    Evaluation = run.Evaluation is { } evaluated ? Cut(evaluated, length) : null,
                }
            );
        }

        if (run is { Ranks: > 1, Shards: false, Training.CudaGraph: false })
            yield return ("--shard", run with { Shards = true });
        if (run.Type == DType.F32)
            yield return ("--dtype bf16", run with { Type = DType.BF16 });
        if (run is { Method: not null, Quantization: null })
            yield return ("--quantize nf4", run with { Quantization = new BaseQuantization(WeightFormat.Nf4) });
        if (run is { Method: not null, InitAdapter: null, Adapter.Rank: > 1 })
        {
            int rank = run.Adapter.Rank / 2;
            yield return ($"--rank {rank}", run with { Adapter = run.Adapter with { Rank = rank } });
        }

        if (run.Training.OptimizerChoice.Name == OptimizerChoice.Default)
        {
            yield return (
                $"--optimizer {SmallState}",
                run with
                {
                    Training = run.Training.With(new OptimizerChoice(SmallState)),
                }
            );
        }
    }

    private static PlannedRecords Cut(PlannedRecords records, int length) =>
        new(Math.Min(records.Length, length), records.LossTokens is { } tokens ? Math.Min(tokens, length - 1) : null);

    // Options that the method or the optimizer refuses are no help.
    private static MemorySaving? Planned(string option, Func<long> peak)
    {
        try
        {
            return new MemorySaving(option, peak());
        }
        catch (InputException)
        {
            return null;
        }
    }
}
