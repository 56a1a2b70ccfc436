namespace Spectral.Training;

/// <summary>Outcome of a training run.</summary>
/// <param name="Steps">Optimizer steps done.</param>
/// <param name="FinalLoss">Loss of the last step that was not skipped.</param>
/// <param name="Tokens">Tokens processed, padding not counted.</param>
/// <param name="Seconds">Time in optimizer steps: evaluation and callbacks excluded.</param>
/// <param name="Before">Evaluation before the first step; null without evaluation data.</param>
/// <param name="After">Evaluation after the last step; null without evaluation data.</param>
/// <param name="Skipped">Steps that updated nothing, because loss or gradient norm was not finite.</param>
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
    /// <summary>Mean over the whole run.</summary>
    public double TokensPerSecond => Seconds > 0 ? Tokens / Seconds : 0;
}
