namespace Spectral.Training;

/// <summary>The outcome of a training run.</summary>
/// <param name="Steps">The number of optimizer steps made.</param>
/// <param name="FinalLoss">The loss of the last step that was not skipped.</param>
/// <param name="Tokens">The number of tokens processed, without padding.</param>
/// <param name="Seconds">The time in optimizer steps in seconds, without evaluation and callbacks.</param>
/// <param name="Before">The scores before the first step; null without evaluation data.</param>
/// <param name="After">The scores after the last step; null without evaluation data.</param>
/// <param name="Skipped">
/// The number of steps that updated nothing because the loss or the gradient norm was not finite.
/// </param>
public sealed record TrainingResult(
    int Steps,
    double FinalLoss,
    long Tokens,
    double Seconds,
    EvaluationResult? Before,
    EvaluationResult? After,
    int Skipped = 0
)
{
    /// <summary>The mean number of tokens per second over the whole run.</summary>
    public double TokensPerSecond => Seconds > 0 ? Tokens / Seconds : 0;
}
