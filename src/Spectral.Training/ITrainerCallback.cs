namespace Spectral.Training;

/// <summary>Follows a training run. An exception that a callback throws ends the run.</summary>
public interface ITrainerCallback
{
    /// <summary>Called before the first step, also of a resumed run.</summary>
    /// <param name="steps">The number of steps of the whole run.</param>
    void OnStart(int steps) { }

    /// <summary>Called after each optimizer step, when the model has the updated weights.</summary>
    /// <param name="report">The step's number and results.</param>
    void OnStep(StepReport report) { }

    /// <summary>Called after an evaluation.</summary>
    /// <param name="step">The steps made so far; 0 before training.</param>
    /// <param name="result">The scores of the evaluation.</param>
    void OnEvaluation(int step, EvaluationResult result) { }

    /// <summary>
    /// Called after a step and its evaluation, if it has one. A state saved now (<see cref="Trainer.Save"/>) can be
    /// resumed.
    /// </summary>
    /// <param name="step">The number of the step.</param>
    /// <param name="isLast">
    /// Whether the run ends here because it is complete or was cancelled. In the latter case the evaluation may be
    /// missing.
    /// </param>
    void OnStepEnd(int step, bool isLast) { }
}
