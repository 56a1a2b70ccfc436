namespace Spectral.Training;

/// <summary>The scores of several adapters of one base on records, of which each named one of them or none.</summary>
/// <param name="Result">The scores of all records together.</param>
/// <param name="Adapters">
/// Each adapter's name with the scores of the records that named it; null if none did. In the order of the set.
/// </param>
/// <param name="Base">The scores of the records that named none; null: there were none.</param>
public sealed record AdapterScores(
    EvaluationResult Result,
    IReadOnlyList<(string Name, EvaluationResult? Result)> Adapters,
    EvaluationResult? Base
);
