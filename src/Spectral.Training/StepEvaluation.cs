namespace Spectral.Training;

/// <summary>The scores of an evaluation and the step after which it was made.</summary>
/// <param name="Step">The number of steps made before the evaluation; 0: before training.</param>
/// <param name="Result">The scores of the evaluation.</param>
public sealed record StepEvaluation(int Step, EvaluationResult Result);
