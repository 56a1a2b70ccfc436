namespace Spectral.Training;

/// <summary>Follows a training run. Exceptions thrown here end the run.</summary>
public interface ITrainerCallback
{
    /// <summary>Before the first step, or the first after those of a run that is gone on with.</summary>
    void OnStart(int steps) { }

    /// <summary>After each optimizer step; the model already has the updated weights.</summary>
    void OnStep(StepReport report) { }

    /// <summary>After an evaluation; step 0 is the one before training.</summary>
    void OnEvaluation(int step, EvaluationResult result) { }

    /// <summary>
    /// After a step and its evaluation, if it has one: what is saved now (<see cref="Trainer.Save"/>) can be gone on
    /// from.
    /// </summary>
    /// <param name="step">The step.</param>
    /// <param name="isLast">Whether the run ends here, because it is done or because it was cancelled; then its
    /// evaluation may be lacking.</param>
    void OnStepEnd(int step, bool isLast) { }
}
