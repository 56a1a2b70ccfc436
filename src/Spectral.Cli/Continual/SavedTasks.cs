using Spectral.Cli.Hosting;
using Spectral.Cli.Runs;
using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Cli.Continual;

/// <summary>
/// How far an earlier process came with the tasks: those that are done, and the checkpoint of the next.
/// </summary>
internal sealed class SavedTasks : IDisposable
{
    private SavedRun? _last;

    /// <summary>The number of tasks that are trained to the end.</summary>
    public int Done { get; private set; }

    /// <summary>Whether anything was found.</summary>
    public bool IsEmpty => _last is null;

    /// <summary>
    /// The checkpoint of the task after the last one that is done; null: it has none, and begins anew.
    /// </summary>
    public SavedRun? Running => _last is { Result: null } running ? running : null;

    /// <summary>Opens what an earlier process left in the tasks' folders.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="folder">The folders.</param>
    /// <param name="tasks">The tasks.</param>
    /// <param name="identity">The run that the command line describes.</param>
    /// <exception cref="InputException">
    /// A checkpoint is damaged, or belongs to another run than the one that the command line describes.
    /// </exception>
    public static SavedTasks Open(
        CommandContext context,
        ContinualFolder folder,
        IReadOnlyList<ContinualTask> tasks,
        RunIdentity identity
    )
    {
        var saved = new SavedTasks();
        try
        {
            foreach (ContinualTask task in tasks)
            {
                if (!saved.Add(context, folder.PathOf(task), task.Records.Steps, identity))
                    break;
            }
            return saved;
        }
        catch
        {
            saved.Dispose();
            throw;
        }
    }

    /// <summary>Checks the device and the type, and has the device choose the same variants as before.</summary>
    /// <exception cref="InputException">The earlier process computed in another type.</exception>
    public void Prepare(CommandContext context, Device device, DType type) => _last?.Prepare(context, device, type);

    /// <inheritdoc/>
    public void Dispose() => _last?.Dispose();

    /// <summary>Adds the next task. Returns whether it is done, so that the one after it may have begun.</summary>
    private bool Add(CommandContext context, string path, int steps, RunIdentity identity)
    {
        if (!Directory.Exists(path) || SavedRun.Open(path) is not { } run)
            return false;
        _last?.Dispose();
        _last = run;
        // Later tasks were trained from this one, so that it cannot become longer.
        run.Require(context, identity, steps, mayBeLonger: false);
        if (run.Result is null)
            return false;
        new CheckpointFolder(path).Recover(run.Staged);
        Done++;
        return true;
    }
}
