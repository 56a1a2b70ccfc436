namespace Spectral.Training;

/// <summary>
/// Training cannot go on: the loss or the gradient norm is no longer a finite number. The weights are those before the
/// first step of which this is true.
/// </summary>
public sealed class TrainingDivergedException(string message) : Exception(message);
