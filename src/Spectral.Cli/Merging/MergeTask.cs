using Spectral.Training.Data;

namespace Spectral.Cli.Merging;

/// <summary>A task on which merges are measured.</summary>
/// <param name="Name">What tables call it.</param>
/// <param name="File">The file of its records.</param>
/// <param name="Records">The records, encoded for the base.</param>
internal sealed record MergeTask(string Name, string File, IReadOnlyList<EncodedRecord> Records);
