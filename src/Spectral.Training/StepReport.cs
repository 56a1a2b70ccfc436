namespace Spectral.Training;

/// <summary>What one optimizer step did.</summary>
/// <param name="Step">1, 2, …</param>
/// <param name="Loss">Mean loss of the step's loss tokens, before the update; NaN if it is not finite.</param>
/// <param name="LearningRate">Rate of this step.</param>
/// <param name="GradientNorm">Global L2 norm before clipping.</param>
/// <param name="Tokens">Tokens processed, padding not counted.</param>
/// <param name="TokensPerSecond">Those per second of this step.</param>
/// <param name="Skipped">Whether nothing was updated, because loss or gradient norm is not finite.</param>
public readonly record struct StepReport(
    int Step,
    double Loss,
    double LearningRate,
    double GradientNorm,
    int Tokens,
    double TokensPerSecond,
    bool Skipped = false
);
