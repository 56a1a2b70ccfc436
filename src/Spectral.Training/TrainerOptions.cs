using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>The settings of a training run. The defaults are those of the command.</summary>
public sealed record TrainerOptions
{
    /// <summary>
    /// The number of optimizer steps, in the same order of records as with <see cref="Epochs"/>; null: as many as
    /// <see cref="Epochs"/> takes.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>The number of passes over the data if <see cref="Steps"/> is null. It may be fractional.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Whether the last step of an epoch is dropped if it has fewer records than the others.</summary>
    public bool DropLast { get; init; }

    /// <summary>
    /// The number of tokens of the sequences that records are joined to (<see cref="SequencePacker"/>), each with its
    /// own attention and positions. <see cref="Batch"/> then counts sequences. Null: each record is a row of its own.
    /// </summary>
    public int? PackTo { get; init; }

    /// <summary>
    /// Whether records of similar length come in one step: after each shuffle they are sorted by length, longest first,
    /// within groups of up to 50 steps, and a step with the longest record of all is the first.
    /// </summary>
    public bool GroupByLength { get; init; }

    /// <summary>
    /// The strength α of noise on the embeddings in training (NEFTune: Jain et al., 2023, arXiv 2310.05914), above 0:
    /// uniform from −1 to 1 times α/√(L·D) for the D features of each of the L tokens of a record. Null: none.
    /// </summary>
    public double? NeftuneAlpha { get; init; }

    /// <summary>The loss that steps minimise and evaluations measure; cross-entropy unless another is chosen.</summary>
    public LossChoice Loss { get; init; } = new();

    /// <summary>The number of records, of packed sequences or of pairs per micro-batch.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>
    /// The number of micro-batches per optimizer step. The last step of an epoch may have fewer, and its last
    /// micro-batch fewer records.
    /// </summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>The base learning rate, reached at the end of warm-up.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>The shape of the learning rate after warm-up.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>The number of steps of linear warm-up.</summary>
    public int Warmup { get; init; }

    /// <summary>
    /// The settings that optimizers have in common: decays, ε, weight decay, clipping. Those that the chosen optimizer
    /// does not read must keep their defaults.
    /// </summary>
    public AdamWOptions Optimizer { get; init; } = new();

    /// <summary>The optimizer and its own settings; AdamW unless another is chosen.</summary>
    public OptimizerChoice OptimizerChoice { get; init; } = new();

    /// <summary>
    /// The decay of an exponential moving average of what trains (<see cref="WeightAverage"/>), from 0 to below 1. The
    /// average is then what is evaluated and what the run ends with. Null: no average.
    /// </summary>
    public double? EmaDecay { get; init; }

    /// <summary>The seed of the data order.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether records are shuffled in each epoch; otherwise they come in file order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>
    /// The number of steps between evaluations, if there is evaluation data; 0: only before and after training.
    /// </summary>
    public int EvalEvery { get; init; }

    /// <summary>The number of steps between log lines; 0: never.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>
    /// The number of consecutive steps with a loss or gradient norm that is not finite after which the run gives up.
    /// Such a step is counted and updates nothing. With 1, the first one ends the run.
    /// </summary>
    public int MaxSkipped { get; init; } = 5;

    /// <summary>
    /// Whether to keep only each layer's input during forward and recompute the rest during backward.
    /// </summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>
    /// Whether the optimizer's state is in page-locked host memory outside of the updates
    /// (<see cref="Optimizer.OffloadsState"/>).
    /// </summary>
    public bool OffloadOptimizer { get; init; }

    /// <summary>
    /// The share of the rows of a linear layer's input, above 0 and up to 1, from which backward computes the gradients
    /// of its weights. The rows are drawn at random for each layer and micro-batch, and only they are kept after
    /// forward. The mean over the draws is the exact gradient; gradients of activations, of a low-rank term's left
    /// factor and of biases are exact. Null: all rows.
    /// </summary>
    /// <remarks>Randomised matrix multiplication: Adelman et al., 2021; Liu et al., "WTA-CRS", 2023.</remarks>
    public double? SampledRows { get; init; }

    /// <summary>
    /// The share of the operations of all tensors' gradients, above 0 and below 1, that the gradients of the tensors
    /// that train may take (GreenTrainer: Huang, Yin, Gao, 2023, arXiv 2309.13192). All tensors train in the first of
    /// every <see cref="FlopInterval"/> steps, which measures Σ ∣g·Δθ∣ of each; those with the largest sum within the
    /// budget train in the others. Null: all tensors train.
    /// </summary>
    public double? FlopBudget { get; init; }

    /// <summary>The number of steps from one choice of <see cref="FlopBudget"/> to the next, at least 2.</summary>
    public int FlopInterval { get; init; } = 50;

    /// <summary>
    /// Whether to pad every batch to the longest training record and to compute the same number of losses for each, so
    /// that all steps have the same shapes. Padding changes no result, but costs the time of the padded positions.
    /// </summary>
    public bool FixedShapes { get; init; }

    /// <summary>
    /// Whether to capture a step in a CUDA graph, with <see cref="FixedShapes"/>, and to replay it. A replayed step
    /// costs no host time per launch.
    /// </summary>
    public bool CudaGraph { get; init; }

    /// <summary>
    /// Returns the options with another optimizer, and with the defaults of the common settings that it does not read.
    /// </summary>
    /// <exception cref="InputException">There is no such optimizer.</exception>
    public TrainerOptions With(OptimizerChoice optimizer) =>
        this with
        {
            OptimizerChoice = optimizer,
            Optimizer = OptimizerMethods.Find(optimizer.Name).Read(Optimizer),
        };

    /// <summary>Checks that the optimizer, and an adapter's method, can train with these options.</summary>
    /// <param name="method">The adapter's method; null: a model's own weights train.</param>
    /// <param name="adapter">The adapter's settings; null: not known yet, or there is no adapter.</param>
    /// <exception cref="InputException">
    /// A setting of the optimizer or the loss is unknown or out of range. Or the loss takes pairs, and they are to be
    /// packed or steps captured. Or steps are to be captured, or an average is wanted, but the optimizer has a reason
    /// against it or the method <see cref="AdapterMethod.ActsBetweenSteps"/>. Or the adapter has dropout, which an
    /// optimizer without gradients does not apply.
    /// </exception>
    public void RequireSuits(AdapterMethod? method, AdapterOptions? adapter = null)
    {
        OptimizerMethod optimizer = OptimizerMethods.Find(OptimizerChoice.Name);
        optimizer.Check(Optimizer, OptimizerChoice.Settings);
        if (CudaGraph && optimizer.GraphRefusal is { } refusal)
            throw new InputException($"{optimizer.Name} {refusal}: expected no --graph");
        if (EmaDecay is not null && optimizer.KeepsAverage)
            throw new InputException($"{optimizer.Name} keeps an average itself: expected no --ema");
        if (ActivationCheckpointing && !optimizer.NeedsGradients)
        {
            throw new InputException(
                $"{optimizer.Name} needs no backward, so that no activations are kept: expected no --checkpointing"
            );
        }

        if (OffloadOptimizer && CudaGraph)
        {
            throw new InputException(
                "--offload-optimizer moves the optimizer's state in each step, which a replayed step cannot: expected "
                    + "no "
                    + "--graph"
            );
        }

        RequireLoss();
        RequireOrder();
        RequireNoise(optimizer);
        RequireSampling(optimizer, adapter);
        RequireBudget(optimizer, method);
        if (adapter is { Dropout: > 0 } && !optimizer.NeedsGradients)
        {
            throw new InputException(
                $"{optimizer.Name} measures losses without dropout: expected no --dropout or another --optimizer"
            );
        }

        if (CudaGraph && method is { FollowsTokens: true })
        {
            throw new InputException(
                $"{method.Name} looks at the tokens of each batch, which a replayed step does not: expected no --graph"
            );
        }

        if (method is not { ActsBetweenSteps: true })
            return;
        if (optimizer.KeepsAverage || !optimizer.NeedsGradients)
        {
            throw new InputException(
                $"{method.Name} changes its factors between steps, which {optimizer.Name} does not follow: expected "
                    + "another --optimizer"
            );
        }

        if (EmaDecay is not null)
        {
            throw new InputException(
                $"{method.Name} changes its factors between steps, which an average over the steps does not follow: "
                    + "expected no --ema"
            );
        }

        if (CudaGraph)
        {
            throw new InputException(
                $"{method.Name} changes its factors between steps, which a replayed step leaves no room "
                    + "for: expected no --graph"
            );
        }
    }

    /// <summary>Checks that the loss has what it needs besides the records.</summary>
    /// <param name="keepsBase">Whether the base stays as it is, as it does with an adapter.</param>
    /// <exception cref="InputException">The loss compares with the base, and the base trains.</exception>
    public void RequireBase(bool keepsBase)
    {
        if (!keepsBase && LossMethods.Find(Loss.Name).NeedsBase)
        {
            throw new InputException(
                $"--loss {Loss.Name} compares with the base, which is lost where all weights train: expected an "
                    + "adapter (spectral finetune), or a loss that does without the base"
            );
        }
    }

    private void RequireLoss()
    {
        LossMethod loss = LossMethods.Find(Loss.Name);
        loss.Check(Loss.Settings);
        if (!loss.TakesPairs)
            return;
        if (CudaGraph || FixedShapes)
        {
            throw new InputException(
                $"--loss {loss.Name} computes on the host in the middle of a step, which a replayed step cannot: "
                    + "expected no --graph"
            );
        }

        if (PackTo is not null)
        {
            throw new InputException(
                $"--loss {loss.Name} takes pairs, whose sides are rows of their own: expected no --packing"
            );
        }
    }

    private void RequireOrder()
    {
        if (GroupByLength && !Shuffle)
            throw new InputException("--group-by-length sorts what a shuffle gives: expected no --no-shuffle");
        if (GroupByLength && PackTo is not null)
        {
            throw new InputException(
                "--group-by-length: packed sequences have about one length, expected no --packing"
            );
        }
    }

    private void RequireNoise(OptimizerMethod optimizer)
    {
        if (NeftuneAlpha is not { } alpha)
            return;
        if (!(alpha > 0 && double.IsFinite(alpha)))
            throw new InputException($"--neftune {alpha}: expected a number above 0");
        if (!optimizer.NeedsGradients)
            throw new InputException($"{optimizer.Name} measures losses without noise: expected no --neftune");
    }

    private void RequireBudget(OptimizerMethod optimizer, AdapterMethod? method)
    {
        if (FlopBudget is not { } share)
            return;
        if (share is not (> 0 and < 1))
            throw new InputException($"--flop-budget {share}: expected a number above 0 and below 1");
        if (FlopInterval < 2)
            throw new InputException($"--flop-interval {FlopInterval}: expected a whole number of at least 2");
        if (!optimizer.NeedsGradients)
            throw new InputException($"{optimizer.Name} needs no gradients to save: expected no --flop-budget");
        if (CudaGraph)
            throw new InputException("--flop-budget trains other tensors in other steps: expected no --graph");
        if (method is { ActsBetweenSteps: true })
        {
            throw new InputException(
                $"{method.Name} changes its factors between steps, which a budget of tensors does not follow: expected "
                    + "no --flop-budget"
            );
        }
    }

    private void RequireSampling(OptimizerMethod optimizer, AdapterOptions? adapter)
    {
        if (SampledRows is not { } share)
            return;
        if (share is not (> 0 and <= 1))
            throw new InputException($"sampled rows {share}: expected a number above 0 and up to 1");
        if (!optimizer.NeedsGradients)
        {
            throw new InputException(
                $"{optimizer.Name} needs no backward, whose rows could be drawn: expected no --rmm"
            );
        }

        if (adapter is { Dropout: > 0 })
        {
            throw new InputException(
                "a dropout mask belongs to all rows of an input, not to some of them: expected no --dropout with --rmm"
            );
        }
    }

    /// <summary>The number of records in a full optimizer step.</summary>
    public int RecordsPerStep => (int)Math.Min(int.MaxValue, (long)Batch * Accumulate);

    /// <summary>Returns the number of optimizer steps of a run over some records, packed if they are to be.</summary>
    /// <exception cref="InputException">The run would have no step, or fewer steps than warm-up.</exception>
    public int StepsFor(IReadOnlyList<EncodedRecord> records) => StepsFor(Rows(records).Length);

    /// <summary>
    /// Returns the indices of the records of each row of batches: one, or those of a packed sequence.
    /// </summary>
    internal int[][] Rows(IReadOnlyList<EncodedRecord> records) =>
        PackTo is { } length
            ? SequencePacker.Pack(records, length, Shuffle ? Seed : null)
            : [.. Enumerable.Range(0, records.Count).Select(record => new[] { record })];

    /// <summary>
    /// Returns the number of optimizer steps of a run over <paramref name="records"/> records, or packed sequences.
    /// </summary>
    /// <exception cref="InputException">The run would have no step, or fewer steps than warm-up.</exception>
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
