using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>Settings of a training run; the defaults are the command's.</summary>
public sealed record TrainerOptions
{
    /// <summary>Optimizer steps; null: as many as <see cref="Epochs"/> need. They go through the same epochs.</summary>
    public int? Steps { get; init; }

    /// <summary>Passes over the data when <see cref="Steps"/> is null; of the last one perhaps a part.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Whether the last step of an epoch is left out if it has fewer records than the others.</summary>
    public bool DropLast { get; init; }

    /// <summary>Records per micro-batch.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>
    /// Micro-batches per optimizer step; the last step of an epoch may have fewer, and its last one fewer records.
    /// </summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Base learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>Shape of the learning rate after warm-up.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>Steps of linear warm-up.</summary>
    public int Warmup { get; init; }

    /// <summary>The optimizer's own settings.</summary>
    public AdamWOptions Optimizer { get; init; } = new();

    /// <summary>Seed of the data order.</summary>
    public ulong Seed { get; init; }

    /// <summary>False: records in file order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Evaluate every so many steps, when there is evaluation data; 0 = only before and after.</summary>
    public int EvalEvery { get; init; }

    /// <summary>Log a line every so many steps; 0 = never.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>
    /// Steps in a row whose loss or gradient norm may be not finite before the run gives up. Such a step is counted and
    /// updates nothing; at 1 the first one ends the run.
    /// </summary>
    public int MaxSkipped { get; init; } = 5;

    /// <summary>Keep only each layer's input during forward and recompute the rest during backward.</summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>
    /// Pads every batch to the longest training record and computes as many losses for each, so that all steps have the
    /// same shapes. Padding changes no result; it costs the time of the padded positions.
    /// </summary>
    public bool FixedShapes { get; init; }

    /// <summary>
    /// Captures a step in a CUDA graph, with <see cref="FixedShapes"/>, and replays it: no host time per launch.
    /// </summary>
    public bool CudaGraph { get; init; }

    /// <summary>Checks that an adapter of a method can be trained so.</summary>
    /// <exception cref="InputException">Steps are to be captured, and the method
    /// <see cref="AdapterMethod.ActsBetweenSteps"/>.</exception>
    public void RequireSuits(AdapterMethod method)
    {
        if (CudaGraph && method.ActsBetweenSteps)
        {
            throw new InputException(
                $"{method.Name} changes its factors between steps, which a replayed step leaves no room "
                    + "for: expected no --graph"
            );
        }
    }

    /// <summary>Records of an optimizer step that is not an epoch's last.</summary>
    public int RecordsPerStep => (int)Math.Min(int.MaxValue, (long)Batch * Accumulate);

    /// <summary>Optimizer steps of a run over <paramref name="records"/> records.</summary>
    /// <exception cref="InputException">There would be none, or fewer than steps of warm-up.</exception>
    public int StepsFor(int records)
    {
        int perEpoch = BatchSampler.BatchesOf(records, RecordsPerStep, DropLast);
        int steps = Steps ?? (int)Math.Clamp(Math.Ceiling(Epochs * perEpoch), 1, int.MaxValue);
        return Warmup <= steps
            ? steps
            : throw new InputException(
                $"--warmup {Warmup}: more than the run's {steps} steps, expected at most that many"
            );
    }
}
