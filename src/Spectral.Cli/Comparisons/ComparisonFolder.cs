using System.Text;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.IO;

namespace Spectral.Cli.Comparisons;

/// <summary>
/// Writes the files of a comparison: <c>runs.jsonl</c>, to which a line is added and flushed after each run, and
/// <c>compare.json</c> and <c>compare.html</c>, which are replaced after each run. So a crash loses one run at most.
/// Before the first run has ended, nothing is written or replaced.
/// </summary>
internal sealed class ComparisonFolder(OutputFolder output) : IDisposable
{
    private FileStream? _runs;

    public void Add(FinishedRun run, JsonObject summary, string page)
    {
        _runs ??= new FileStream(
            Path.Combine(output.FullPath, "runs.jsonl"),
            FileMode.Create,
            FileAccess.Write,
            FileShare.Read
        );
        _runs.Write(Encoding.UTF8.GetBytes(run.ToJson().ToJsonString() + "\n"));
        _runs.Flush(flushToDisk: true);
        AtomicFile.Write(Path.Combine(output.FullPath, "compare.json"), stream => JsonOutput.Write(summary, stream));
        AtomicFile.Write(Path.Combine(output.FullPath, "compare.html"), page);
    }

    public void Dispose() => _runs?.Dispose();
}
