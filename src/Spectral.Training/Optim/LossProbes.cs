namespace Spectral.Training.Optim;

/// <summary>
/// Measurements of the loss at changed masters, from which an optimizer without gradients derives its update. Each
/// probe runs forward on all micro-batches of the step, without dropout; then the update reads
/// <see cref="OptimizerRun.Losses"/>.
/// </summary>
/// <param name="Count">The number of probes in a step.</param>
/// <param name="Begin">Writes the masters of a probe, given its number from 0.</param>
/// <param name="End">Brings the masters back, up to rounding, after the last probe.</param>
internal sealed record LossProbes(int Count, Action<int> Begin, Action End);
