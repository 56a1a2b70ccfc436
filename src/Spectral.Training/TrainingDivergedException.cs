namespace Spectral.Training;

/// <summary>
/// Training cannot continue because the loss or the gradient norm is no longer finite. The weights are those before the
/// first such step.
/// </summary>
public sealed class TrainingDivergedException(string message) : Exception(message);
