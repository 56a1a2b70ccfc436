namespace Spectral.Training;

/// <summary>Saves every so many steps and at the end; a file that is there is replaced only by a complete new one.</summary>
/// <param name="every">Steps between saves.</param>
/// <param name="save">Writes the adapter or model.</param>
public sealed class Checkpoints(int every, Action save) : ITrainerCallback
{
    private int _steps;

    /// <inheritdoc/>
    public void OnStart(int steps) => _steps = steps;

    /// <inheritdoc/>
    public void OnStep(StepReport report)
    {
        if (report.Step == _steps || (every > 0 && report.Step % every == 0))
            save();
    }
}
