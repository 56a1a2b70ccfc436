using Spectral.Training.Forgetting;

namespace Spectral.Cli.Spectra;

/// <summary>The forgetting of a run over its checkpoints.</summary>
/// <param name="Data">The file of old data, as given.</param>
/// <param name="Task">The file of the new task's data, as given, or null.</param>
/// <param name="Curve">The checkpoints and the fitted laws.</param>
internal sealed record ForgettingReport(string Data, string? Task, ForgettingCurve Curve);
