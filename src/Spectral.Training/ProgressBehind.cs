namespace Spectral.Training;

/// <summary>Adds what was done before to what is reported.</summary>
internal sealed class ProgressBehind(IProgress<int> progress, int before) : IProgress<int>
{
    public void Report(int value) => progress.Report(before + value);
}
