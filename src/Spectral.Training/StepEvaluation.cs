namespace Spectral.Training;

/// <summary>An evaluation and when it was made.</summary>
/// <param name="Step">After this step; 0: before the first.</param>
/// <param name="Result">What came out.</param>
public sealed record StepEvaluation(int Step, EvaluationResult Result);
