using Spectral.Training.IO;

namespace Spectral.Cli.Output;

/// <summary>
/// The folder that --out or a similar option names. It must be absent or empty, unless --overwrite is given, and one
/// process at a time writes to it.
/// </summary>
internal sealed class OutputFolder : IOutput
{
    public const string LockName = ".spectral.lock";

    private static readonly string[] Written = [".json", ".jsonl", ".safetensors", ".html"];

    private readonly string _given;
    private readonly bool _overwrite;
    private readonly bool _isOfFirstRank;
    private OutputClaim? _claim;

    /// <summary>Checks that the folder may be written to, and creates nothing.</summary>
    /// <param name="path">What --out names.</param>
    /// <param name="overwrite">Whether the folder may have files in it.</param>
    /// <param name="inputs">The folders that the command reads; none of them may be the output.</param>
    /// <exception cref="InputException">The folder may not be written to.</exception>
    public OutputFolder(string path, bool overwrite, params ReadOnlySpan<string?> inputs)
        : this("--out", path, overwrite, inputs) { }

    /// <summary>Checks that the folder of an option may be written to, and creates nothing.</summary>
    /// <param name="option">The option that names the folder, such as --out.</param>
    /// <param name="path">What the option names.</param>
    /// <param name="overwrite">Whether the folder may have files in it.</param>
    /// <param name="inputs">The folders that the command reads; none of them may be the output.</param>
    /// <exception cref="InputException">The folder may not be written to.</exception>
    public OutputFolder(string option, string path, bool overwrite, params ReadOnlySpan<string?> inputs)
    {
        (_given, _overwrite) = ($"{option} \"{path}\"", overwrite);
        FullPath = OutputPath.Resolve(_given, path);
        OutputPath.RequireNoInput(_given, FullPath, "folder", inputs);
        if (File.Exists(FullPath))
            throw new InputException($"{_given}: is a file; expected a folder that is absent or empty");
        OutputClaim.RequireFree(_given, LockFile);
        CheckContents();
    }

    private OutputFolder(string path)
    {
        _given = $"--out \"{path}\"";
        (_isOfFirstRank, FullPath) = (true, OutputPath.Resolve(_given, path));
    }

    /// <summary>Returns the folder of --out on the ranks that do not write to it, and only read a checkpoint.</summary>
    public static OutputFolder OfFirstRank(string path) => new(path);

    public string FullPath { get; }

    /// <summary>Whether the folder was absent or empty before.</summary>
    public bool WasEmpty { get; private set; }

    private string LockFile => Path.Combine(FullPath, LockName);

    /// <summary>
    /// Creates the folder, locks it for this process and removes what a killed one was writing. To be called after all
    /// inputs are checked, before the work.
    /// </summary>
    /// <exception cref="InputException">Another process writes to the folder, or it cannot be written to.</exception>
    public void Claim()
    {
        if (_isOfFirstRank)
            return;
        _claim = OutputClaim.Take(_given, LockFile);
        StagingFolder.RemoveAbandoned(FullPath);
        CheckContents();
    }

    /// <summary>
    /// Has <paramref name="write"/> fill a temporary folder, which is then renamed to this one, so that the result
    /// exists whole or not at all. If the folder existed before, files are replaced one by one.
    /// </summary>
    public void Fill(Action<string> write)
    {
        bool replace = _claim!.MadeFolder;
        string staging = replace ? StagingFolder.Beside(FullPath) : StagingFolder.In(FullPath);
        try
        {
            Directory.CreateDirectory(staging);
            write(staging);
            if (replace)
            {
                _claim.Dispose(); // takes the folder away, as a rename cannot replace one
                Directory.Move(staging, FullPath);
            }
            else
            {
                ReplaceFiles(staging);
            }
        }
        finally
        {
            if (Directory.Exists(staging))
                Directory.Delete(staging, recursive: true);
        }
    }

    /// <summary>Removes everything from the folder, which was absent or empty before.</summary>
    public void Clear()
    {
        foreach (string entry in Contents())
        {
            if (Directory.Exists(entry) && new FileInfo(entry).LinkTarget is null)
                Directory.Delete(entry, recursive: true);
            else
                File.Delete(entry);
        }
    }

    /// <summary>Unlocks the folder, and removes it if it was created here and is empty.</summary>
    public void Dispose() => _claim?.Dispose();

    /// <summary>Lists what is in the folder, without what this command or a killed one needs to write there.</summary>
    private IEnumerable<string> Contents() =>
        Directory.Exists(FullPath)
            ? Directory
                .EnumerateFileSystemEntries(FullPath)
                .Where(entry => Path.GetFileName(entry) != LockName && !StagingFolder.IsIn(entry))
            : [];

    private void CheckContents()
    {
        try
        {
            WasEmpty = !Contents().Any();
            if (!_overwrite && !WasEmpty)
            {
                throw new InputException(
                    $"{_given}: is not empty; expected an absent or empty folder (--overwrite replaces files in it)"
                );
            }

            if (
                Contents()
                    .FirstOrDefault(entry => Written.Contains(Path.GetExtension(entry)) && Directory.Exists(entry)) is
                { } folder
            )
            {
                throw new InputException(
                    $"{_given}: {Path.GetFileName(folder)} in it is a folder; expected a file or nothing of that name"
                );
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{_given}: cannot be listed: {error.Message}", error);
        }
    }

    /// <summary>
    /// Replaces old files and folders by new ones of the same name. Old weights without a new file, such as shards if
    /// the result is one file, would contradict the result and are removed; all other files stay.
    /// </summary>
    private void ReplaceFiles(string staging)
    {
        foreach (string folder in Directory.GetDirectories(staging))
        {
            string place = Path.Combine(FullPath, Path.GetFileName(folder));
            if (Directory.Exists(place))
                Directory.Delete(place, recursive: true);
            Directory.Move(folder, place);
        }
        var written = new HashSet<string>();
        foreach (string file in Directory.GetFiles(staging))
        {
            string name = Path.GetFileName(file);
            File.Move(file, Path.Combine(FullPath, name), overwrite: true);
            written.Add(name);
        }
        foreach (string pattern in (string[])["*.safetensors", "*.safetensors.index.json"])
        {
            foreach (string old in Directory.GetFiles(FullPath, pattern))
            {
                if (!written.Contains(Path.GetFileName(old)))
                    File.Delete(old);
            }
        }
    }
}
