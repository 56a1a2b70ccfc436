namespace Spectral.Cli.Hosting;

/// <summary>
/// Reports records on the caller's thread, unlike <see cref="Progress{T}"/>, so that no line comes late.
/// </summary>
/// <param name="progress">Takes the reports.</param>
/// <param name="before">The number of records that were done before.</param>
internal sealed class RecordsDone(WorkProgress progress, long before = 0) : IProgress<int>
{
    public void Report(int value) => progress.Report(before + value);
}
