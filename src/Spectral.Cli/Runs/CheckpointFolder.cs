using Spectral.Cli.Output;
using Spectral.Training.IO;

namespace Spectral.Cli.Runs;

/// <summary>
/// Writes checkpoints into <c>trainer_state/</c> of an output folder. A checkpoint is the trainer's state and the files
/// that others read, such as the adapter. First the files are written to a staging folder in <c>trainer_state/</c>,
/// then the new state replaces the old one by a rename, then the files are moved to the output folder. A process that
/// ends before the rename leaves the old checkpoint as it was; after one that ends later, <see cref="Recover"/> moves
/// the remaining files.
/// </summary>
internal sealed class CheckpointFolder(string output)
{
    private const string Name = "trainer_state";
    private const string StateFile = "checkpoint.safetensors";
    private const string StagingPrefix = "files-";
    private const string KeptName = "checkpoints";
    private const string StepPrefix = "step-";

    // Weights must never lie beside a config that they do not belong to: a reader would take them for another adapter.
    private static readonly string[] Configs = ["adapter_config.json", "config.json"];

    private readonly string _folder = Path.Combine(output, Name);
    private readonly string _kept = Path.Combine(output, KeptName);

    /// <summary>The path of the trainer's state.</summary>
    public string State => Path.Combine(_folder, StateFile);

    /// <summary>
    /// Whether the output folder holds only what a run leaves that ended before its first checkpoint.
    /// </summary>
    public bool HoldsNothing =>
        Directory
            .EnumerateFileSystemEntries(output)
            .All(path =>
                Path.GetFileName(path)
                    is Name
                        or KeptName
                        or TrainingRun.LogName
                        or FurtherLogs.CsvName
                        or FurtherLogs.TensorBoardName
                        or OutputFolder.LockName
            );

    /// <summary>Returns whether a name in a state is that of a staging folder, and not a path to elsewhere.</summary>
    public static bool IsStaging(string name) =>
        name.StartsWith(StagingPrefix, StringComparison.Ordinal)
        && name.Skip(StagingPrefix.Length).All(char.IsAsciiHexDigitLower);

    /// <summary>Lists the checkpoints that a run kept, by step.</summary>
    public static IEnumerable<(int Step, string Directory)> Kept(string output)
    {
        string folder = Path.Combine(output, KeptName);
        if (!Directory.Exists(folder))
            return [];
        return Directory
            .GetDirectories(folder, StepPrefix + "*")
            .Select(path =>
                (Step: int.TryParse(Path.GetFileName(path)[StepPrefix.Length..], out int step) ? step : -1, path)
            )
            .Where(kept => kept.Step >= 0)
            .OrderBy(kept => kept.Step);
    }

    /// <summary>
    /// Keeps the files of a checkpoint in <c>checkpoints/step-N</c>, which appears whole or not at all and is not
    /// replaced by later checkpoints.
    /// </summary>
    /// <param name="step">The number of steps made.</param>
    /// <param name="writeFiles">Writes the files for others into a folder and flushes each to the disk.</param>
    public void Keep(int step, Action<string> writeFiles)
    {
        string target = Path.Combine(_kept, FormattableString.Invariant($"{StepPrefix}{step:000000}"));
        string staging = Path.Combine(_kept, $".{StagingPrefix}{Guid.NewGuid():N}");
        try
        {
            Directory.CreateDirectory(staging);
            writeFiles(staging);
            // A run that resumed from an earlier checkpoint makes this one again.
            if (Directory.Exists(target))
                Directory.Delete(target, recursive: true);
            Directory.Move(staging, target);
            DirectorySync.Flush(_kept);
        }
        catch
        {
            Directory.Delete(staging, recursive: true);
            throw;
        }
    }

    /// <summary>Makes the folder for a new run, and removes what an older run left in it.</summary>
    public void Clear()
    {
        if (Directory.Exists(_kept))
            Directory.Delete(_kept, recursive: true);
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        Directory.CreateDirectory(_folder);
        DirectorySync.Flush(output);
        DirectorySync.Flush(Path.GetDirectoryName(output)!);
    }

    /// <summary>Writes a checkpoint; if that fails, the previous one stays.</summary>
    /// <param name="writeFiles">Writes the files for others into a folder and flushes each to the disk.</param>
    /// <param name="writeState">Writes the state to a path, atomically; its notes contain the name of the staging
    /// folder, the second argument.</param>
    public void Write(Action<string> writeFiles, Action<string, string> writeState)
    {
        string name = $"{StagingPrefix}{Guid.NewGuid():N}";
        string staging = Path.Combine(_folder, name);
        try
        {
            Directory.CreateDirectory(staging);
            writeFiles(staging);
            DirectorySync.Flush(_folder);
        }
        catch
        {
            Directory.Delete(staging, recursive: true);
            throw;
        }
        // From here on the staged files may belong to the new state, so they stay even if this fails: resuming decides.
        writeState(State, name);
        Publish(staging);
    }

    /// <summary>Completes a checkpoint that a killed process left incomplete.</summary>
    /// <param name="staged">The name of the staging folder that belongs to the state.</param>
    public void Recover(string staged)
    {
        string finished = Path.Combine(_folder, staged);
        if (Directory.Exists(finished))
            Publish(finished);
        foreach (string left in Directory.GetDirectories(_folder, StagingPrefix + "*"))
            Directory.Delete(left, recursive: true);
        foreach (string left in Directory.GetFiles(_folder, $".{StateFile}.*.tmp"))
            File.Delete(left);
    }

    private void Publish(string staging)
    {
        foreach (
            string config in Configs.Where(name => Differs(Path.Combine(staging, name), Path.Combine(output, name)))
        )
        {
            File.Delete(Path.Combine(output, config));
        }

        foreach (string file in Directory.GetFiles(staging).OrderBy(file => Configs.Contains(Path.GetFileName(file))))
            File.Move(file, Path.Combine(output, Path.GetFileName(file)), overwrite: true);
        DirectorySync.Flush(output);
        Directory.Delete(staging);
    }

    private static bool Differs(string file, string old) =>
        File.Exists(file)
        && File.Exists(old)
        && !File.ReadAllBytes(file).AsSpan().SequenceEqual(File.ReadAllBytes(old));
}
