using Spectral.Training;

namespace Spectral.Cli.Merging;

/// <summary>What a model, an input or a merge, achieves on each task.</summary>
/// <param name="Name">The method, or the folder of the input.</param>
/// <param name="Results">The results on the tasks, in their order.</param>
internal sealed record MergeScore(string Name, IReadOnlyList<EvaluationResult> Results);
