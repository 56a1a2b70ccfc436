using Spectral.Training.Adapters;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>The results of one optimizer step.</summary>
/// <param name="Step">The number of the step, from 1.</param>
/// <param name="Loss">
/// The mean loss of the step's loss tokens, or of its pairs, before the update; NaN if it is not finite.
/// </param>
/// <param name="LearningRate">The learning rate of this step.</param>
/// <param name="GradientNorm">The global L2 norm of the gradients before clipping.</param>
/// <param name="Tokens">The number of tokens processed, without padding.</param>
/// <param name="TokensPerSecond">The tokens processed per second in this step.</param>
/// <param name="Skipped">Whether nothing was updated because the loss or the gradient norm was not finite.</param>
public readonly record struct StepReport(
    int Step,
    double Loss,
    double LearningRate,
    double GradientNorm,
    int Tokens,
    double TokensPerSecond,
    bool Skipped = false
)
{
    /// <summary>
    /// The norms before clipping, one for each of <see cref="AdamWOptions.ClipGroups"/>; null if all gradients have one
    /// norm.
    /// </summary>
    public IReadOnlyList<GroupNorm>? Groups { get; init; }

    /// <summary>The rewards of the step's pairs, of whose losses the loss is the mean; null without pairs.</summary>
    public PairScores? PairScores { get; init; }

    /// <summary>
    /// The number of tensors that trained with <see cref="TrainerOptions.FlopBudget"/>; null without a budget.
    /// </summary>
    public int? TrainedTensors { get; init; }

    /// <summary>The load of the adapter's routers; null without routers.</summary>
    public RouterReport? Routers { get; init; }

    /// <summary>The bytes that this rank sent to others in the step; null if the process trains alone.</summary>
    public long? BytesSent { get; init; }
}
