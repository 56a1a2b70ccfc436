namespace Spectral.Training.Optim;

/// <summary>The outcome of <see cref="Optimizer.Step"/>.</summary>
/// <param name="GradientNorm">
/// The global L2 norm of the gradients before clipping; not finite if a gradient was not.
/// </param>
/// <param name="Skipped">Whether nothing was updated because the norm was not finite.</param>
public readonly record struct StepResult(double GradientNorm, bool Skipped);
