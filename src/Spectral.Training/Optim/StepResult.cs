namespace Spectral.Training.Optim;

/// <summary>What <see cref="AdamWOptimizer.Step"/> found.</summary>
/// <param name="GradientNorm">Global L2 norm of the gradients before clipping; not finite where they were not.</param>
/// <param name="Skipped">Whether nothing was updated, as the norm was not finite.</param>
public readonly record struct StepResult(double GradientNorm, bool Skipped);
