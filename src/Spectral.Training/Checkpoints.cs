namespace Spectral.Training;

/// <summary>
/// Saves every so many steps and when the run ends, also by cancellation. After a step that was skipped it waits for
/// one that was not: what is on disk is then known to give a finite loss. Only the end of a run that is done is saved
/// in any case.
/// </summary>
/// <param name="every">Steps between saves.</param>
/// <param name="save">Writes the adapter or model, or the trainer's state.</param>
public sealed class Checkpoints(int every, Action save) : ITrainerCallback
{
    private int _steps;
    private bool _isSkipping;

    /// <inheritdoc/>
    public void OnStart(int steps) => _steps = steps;

    /// <inheritdoc/>
    public void OnStep(StepReport report) => _isSkipping = report.Skipped;

    /// <inheritdoc/>
    public void OnStepEnd(int step, bool isLast)
    {
        if (step == _steps || (!_isSkipping && (isLast || (every > 0 && step % every == 0))))
            save();
    }
}
