namespace Spectral.Training;

/// <summary>
/// Saves at a fixed interval of steps, and when the run ends or is cancelled. After a skipped step it waits for a step
/// that was not skipped, so that what is on disk is known to give a finite loss. The end of a completed run is always
/// saved.
/// </summary>
/// <param name="every">The number of steps between saves; 0: only at the end.</param>
/// <param name="save">Writes the adapter or model, or the state of the trainer.</param>
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
