namespace Spectral.Cli.Continual;

/// <summary>A task as the command line gives it.</summary>
/// <param name="Name">What tables and folders call it.</param>
/// <param name="Training">The file of the records to train on.</param>
/// <param name="Evaluation">The file of the records to evaluate on.</param>
internal sealed record TaskFiles(string Name, string Training, string Evaluation);
