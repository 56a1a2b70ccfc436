using Spectral.Training;

namespace Spectral.Cli;

/// <summary>
/// What --out names: absent or an empty folder, unless --overwrite. A result is written beside it and takes its place
/// when complete, so that it exists whole or not at all.
/// </summary>
internal sealed class OutputFolder
{
    private readonly bool overwrite;

    /// <summary>Checks the rules; creates nothing.</summary>
    /// <param name="path">What --out names.</param>
    /// <param name="overwrite">Whether a folder with files in it is welcome.</param>
    /// <param name="inputs">Folders the command reads: none of them may be written to.</param>
    /// <exception cref="InputException">The folder may not be written to.</exception>
    public OutputFolder(string path, bool overwrite, params ReadOnlySpan<string?> inputs)
    {
        this.overwrite = overwrite;
        FullPath = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        foreach (string? input in inputs)
            if (input is not null && Path.TrimEndingDirectorySeparator(Path.GetFullPath(input)) == FullPath)
                throw new InputException($"--out \"{path}\": is read by this command; expected another folder");
        RequireFolderAbove(path, FullPath);
        if (File.Exists(FullPath)) throw new InputException($"--out \"{path}\": is a file; expected a folder that is absent or empty");
        if (!overwrite && Directory.Exists(FullPath) && Directory.EnumerateFileSystemEntries(FullPath).Any())
            throw new InputException($"--out \"{path}\": is not empty; expected an absent or empty folder (--overwrite replaces files in it)");
    }

    public string FullPath { get; }

    /// <summary>Lets <paramref name="write"/> fill a folder beside the final one, then moves it into place.</summary>
    public void Fill(Action<string> write)
    {
        string staging = Beside(FullPath);
        try
        {
            Directory.CreateDirectory(staging);
            write(staging);
            if (Directory.Exists(FullPath) && overwrite) ReplaceFiles(staging);
            else
            {
                if (Directory.Exists(FullPath)) Directory.Delete(FullPath); // empty, as checked: a rename cannot replace a folder
                Directory.Move(staging, FullPath);
            }
        }
        finally
        {
            if (Directory.Exists(staging)) Directory.Delete(staging, recursive: true);
        }
    }

    /// <summary>A hidden name in the same folder, so that the final rename stays inside one file system.</summary>
    public static string Beside(string path) =>
        Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.{Environment.ProcessId}.partial");

    /// <exception cref="InputException">A file stands where a folder on the way to the output would have to be.</exception>
    public static void RequireFolderAbove(string given, string fullPath)
    {
        for (string? above = Path.GetDirectoryName(fullPath); above is not null; above = Path.GetDirectoryName(above))
        {
            if (Directory.Exists(above)) return;
            if (File.Exists(above)) throw new InputException($"--out \"{given}\": {above} is a file; expected a folder");
        }
        throw new InputException($"--out \"{given}\": expected a path inside an existing file system");
    }

    /// <summary>
    /// Puts each new file over the old one. Old weights that the new result does not replace would contradict it (shards
    /// beside a single file) and go; whatever else lies there stays.
    /// </summary>
    private void ReplaceFiles(string staging)
    {
        var written = new HashSet<string>();
        foreach (string file in Directory.GetFiles(staging))
        {
            string name = Path.GetFileName(file);
            File.Move(file, Path.Combine(FullPath, name), overwrite: true);
            written.Add(name);
        }
        foreach (string pattern in (string[])["*.safetensors", "*.safetensors.index.json"])
            foreach (string old in Directory.GetFiles(FullPath, pattern))
                if (!written.Contains(Path.GetFileName(old))) File.Delete(old);
    }
}
