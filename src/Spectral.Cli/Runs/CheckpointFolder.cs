using Spectral.Cli.Output;
using Spectral.Training.IO;

namespace Spectral.Cli.Runs;

/// <summary>
/// <c>trainer_state/</c> in an output folder. A checkpoint is the trainer's state together with the files that others
/// read, such as the adapter: these are written to a folder here, then the state replaces the older one by a rename,
/// which is the moment that counts, then the files are moved up to where they belong. Ended before that moment, a
/// process leaves the old checkpoint as it was; ended after it, <see cref="Recover"/> moves the rest.
/// </summary>
internal sealed class CheckpointFolder(string output)
{
    private const string Name = "trainer_state";
    private const string StateFile = "checkpoint.safetensors";
    private const string StagingPrefix = "files-";

    // A folder with weights of one kind and a config of another would be read as something that never was.
    private static readonly string[] Configs = ["adapter_config.json", "config.json"];

    private readonly string _folder = Path.Combine(output, Name);

    /// <summary>The trainer's state, the checkpoint that counts.</summary>
    public string State => Path.Combine(_folder, StateFile);

    /// <summary>
    /// Whether everything in the output folder is what a run leaves that ended before its first checkpoint.
    /// </summary>
    public bool HoldsNothing =>
        Directory
            .EnumerateFileSystemEntries(output)
            .All(path => Path.GetFileName(path) is Name or TrainingRun.LogName or OutputFolder.LockName);

    /// <summary>Whether a name that a state gives is one of a folder of files, and leads nowhere else.</summary>
    public static bool IsStaging(string name) =>
        name.StartsWith(StagingPrefix, StringComparison.Ordinal)
        && name.Skip(StagingPrefix.Length).All(char.IsAsciiHexDigitLower);

    /// <summary>Makes the folder for a new run; what an older one left in it goes.</summary>
    public void Clear()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        Directory.CreateDirectory(_folder);
        DirectorySync.Flush(output);
        DirectorySync.Flush(Path.GetDirectoryName(output)!);
    }

    /// <summary>Writes a checkpoint; if it fails the one before stays.</summary>
    /// <param name="writeFiles">Fills a folder with the files for others, each brought to the disk.</param>
    /// <param name="writeState">Writes the state to a path, atomically, with the name of that folder among its
    /// notes.</param>
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
        // From here on the files may belong to a state that counts: if it fails, whoever resumes finds out.
        writeState(State, name);
        Publish(staging);
    }

    /// <summary>Ends what a process that was killed left half done.</summary>
    /// <param name="staged">The folder of files that belong to the state.</param>
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
