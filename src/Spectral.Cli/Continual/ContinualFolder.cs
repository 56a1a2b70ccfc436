using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.IO;

namespace Spectral.Cli.Continual;

/// <summary>
/// The files of a run over several tasks: a folder for each task, as <c>finetune</c> writes it, and
/// <c>continual.json</c> and <c>continual.html</c>, which are replaced after each evaluation.
/// </summary>
internal sealed class ContinualFolder(OutputFolder output)
{
    private const string Summary = "continual.json";
    private const string Page = "continual.html";

    private string SummaryPath => Path.Combine(output.FullPath, Summary);

    /// <summary>Returns the folder of the adapter after a task.</summary>
    public string PathOf(ContinualTask task) => Path.Combine(output.FullPath, task.Folder);

    /// <summary>Returns the folder of a task to write to.</summary>
    public OutputFolder Of(ContinualTask task) => new(PathOf(task), overwrite: true);

    /// <summary>Writes what is measured so far.</summary>
    public void Write(JsonObject summary, string page)
    {
        AtomicFile.Write(SummaryPath, stream => JsonOutput.Write(summary, stream));
        AtomicFile.Write(Path.Combine(output.FullPath, Page), page);
    }

    /// <summary>Reads what an earlier process measured; null if there is nothing.</summary>
    /// <exception cref="InputException">The file has no JSON object.</exception>
    public JsonObject? ReadSummary()
    {
        if (!File.Exists(SummaryPath))
            return null;
        try
        {
            return JsonNode.Parse(File.ReadAllText(SummaryPath)) as JsonObject ?? throw new JsonException("no object");
        }
        catch (JsonException error)
        {
            throw new InputException(
                $"{SummaryPath}: cannot be read ({error.Message.ReplaceLineEndings(" ")}); expected the file that the "
                    + "run wrote, or none, so that everything is evaluated again",
                error
            );
        }
    }

    /// <summary>Checks, before a run is resumed, that the folder holds nothing else than such a run.</summary>
    /// <exception cref="InputException">It does.</exception>
    public void RequireNothingElse(IReadOnlyList<ContinualTask> tasks)
    {
        string[] known = [OutputFolder.LockName, Summary, Page, .. tasks.Select(task => task.Folder)];
        if (
            Directory
                .EnumerateFileSystemEntries(output.FullPath)
                .Select(Path.GetFileName)
                .Except(known)
                .FirstOrDefault() is
            { } other
        )
        {
            throw new InputException(
                $"--resume: {output.FullPath} has {other}, which is no part of this run; --overwrite starts a new run"
            );
        }
    }

    /// <summary>Removes what an older run left, before a new one begins.</summary>
    public void Clear(IReadOnlyList<ContinualTask> tasks)
    {
        File.Delete(SummaryPath);
        File.Delete(Path.Combine(output.FullPath, Page));
        foreach (string old in tasks.Select(PathOf).Where(Directory.Exists))
            Directory.Delete(old, recursive: true);
    }
}
