using Spectral.Cli.Options;
using Spectral.Training;
using Spectral.Training.Logs;

namespace Spectral.Cli.Runs;

/// <summary>The logs of a run beside its JSON lines, in the output folder.</summary>
internal sealed class FurtherLogs : IDisposable
{
    public const string CsvName = "train_log.csv";
    public const string TensorBoardName = "tensorboard";
    private const string EventFiles = "events.out.tfevents.*";

    private readonly string _table;
    private readonly string _events;
    private readonly CsvLog? _csv;
    private readonly TensorBoardLog? _tensorBoard;

    /// <summary>Begins the logs. Those of a new run replace what is there.</summary>
    /// <param name="folder">The output folder.</param>
    /// <param name="forms">The forms that are wanted (<see cref="LogOption"/>).</param>
    /// <param name="resumedAfter">The number of steps that a resumed run has made; 0 for a new run.</param>
    /// <param name="hasPairs">Whether the run is on pairs.</param>
    /// <param name="hasRouters">Whether the adapter has routers.</param>
    public FurtherLogs(string folder, IReadOnlySet<string> forms, int resumedAfter, bool hasPairs, bool hasRouters)
    {
        (_table, _events) = (Path.Combine(folder, CsvName), Path.Combine(folder, TensorBoardName));
        if (resumedAfter == 0)
            Delete();
        if (forms.Contains(LogOption.Csv))
            _csv = new CsvLog(_table, hasPairs, hasRouters);
        if (forms.Contains(LogOption.TensorBoard))
            _tensorBoard = new TensorBoardLog(_events, resumedAfter);
    }

    /// <summary>The callbacks of a run that write the logs.</summary>
    public IEnumerable<ITrainerCallback> Callbacks =>
        new ITrainerCallback?[] { _csv, _tensorBoard }.OfType<ITrainerCallback>();

    /// <summary>The logs that hold the steps before a checkpoint only if they are told of them again.</summary>
    public IEnumerable<ITrainerCallback> Rewritten => new ITrainerCallback?[] { _csv }.OfType<ITrainerCallback>();

    /// <summary>Closes the logs.</summary>
    public void Dispose()
    {
        _csv?.Dispose();
        _tensorBoard?.Dispose();
    }

    /// <summary>Removes the logs of a run.</summary>
    public void Delete()
    {
        File.Delete(_table);
        if (!Directory.Exists(_events))
            return;
        foreach (string file in Directory.GetFiles(_events, EventFiles))
            File.Delete(file);
        if (!Directory.EnumerateFileSystemEntries(_events).Any())
            Directory.Delete(_events);
    }
}
