using Spectral.Training.Routing;

namespace Spectral.Training;

/// <summary>The scores of several experts on records, of which each went to one of them.</summary>
/// <param name="Result">The scores of all records together.</param>
/// <param name="Experts">
/// Each expert with the scores of the records that it took; null if it took none. In the order of the folder.
/// </param>
public sealed record RoutedEvaluation(
    EvaluationResult Result,
    IReadOnlyList<(Expert Expert, EvaluationResult? Result)> Experts
);
