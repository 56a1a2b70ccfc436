using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>The records of a run as tokens.</summary>
/// <param name="Training">The records of --data.</param>
/// <param name="Evaluation">The records of --eval; null without it.</param>
/// <param name="Steps">The number of optimizer steps of the run.</param>
internal sealed record RunRecords(EncodedRecord[] Training, EncodedRecord[]? Evaluation, int Steps);
