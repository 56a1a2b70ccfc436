using Spectral.Training.Data;

namespace Spectral.Cli.Runs;

/// <summary>The records of a run as tokens.</summary>
/// <param name="Training">Those of --data.</param>
/// <param name="Evaluation">Those of --eval; null without it.</param>
/// <param name="Steps">How many optimizer steps the run takes over them.</param>
internal sealed record RunRecords(EncodedRecord[] Training, EncodedRecord[]? Evaluation, int Steps);
