using Spectral.Training.IO;

namespace Spectral.Cli.Output;

/// <summary>
/// The file that --out or a similar option names. It must be absent or empty, unless --overwrite is given, and one
/// process at a time writes it.
/// </summary>
internal sealed class OutputFile : IOutput
{
    private readonly string _given;
    private OutputClaim? _claim;

    /// <summary>Checks that the file may be written, and creates nothing.</summary>
    /// <param name="option">The option that names the file, such as --out.</param>
    /// <param name="path">What the option names.</param>
    /// <param name="overwrite">Whether an existing file may be replaced.</param>
    /// <param name="inputs">The files and folders that the command reads; none of them may be the output.</param>
    /// <exception cref="InputException">The file may not be written.</exception>
    public OutputFile(string option, string path, bool overwrite, params ReadOnlySpan<string?> inputs)
    {
        _given = $"{option} \"{path}\"";
        FullPath = OutputPath.Resolve(_given, path);
        if (Directory.Exists(FullPath))
            throw new InputException($"{_given}: is a folder; expected the name of a file");
        OutputPath.RequireNoInput(_given, FullPath, "file", inputs);
        if (!overwrite && File.Exists(FullPath) && new FileInfo(FullPath).Length > 0)
            throw new InputException($"{_given}: exists; expected an absent or empty file (--overwrite replaces it)");
    }

    public string FullPath { get; }

    /// <summary>
    /// Creates the folders above the file and locks it for this process. To be called after all inputs are checked,
    /// before the work.
    /// </summary>
    /// <exception cref="InputException">Another process writes the file, or its folder cannot be written
    /// to.</exception>
    public void Claim() =>
        _claim = OutputClaim.Take(
            _given,
            Path.Combine(Path.GetDirectoryName(FullPath)!, $".{Path.GetFileName(FullPath)}.lock")
        );

    /// <summary>
    /// Has <paramref name="write"/> write the file, which it has to do whole or not at all.
    /// </summary>
    public void Fill(Action<string> write) => write(FullPath);

    /// <summary>Writes a text as UTF-8, whole or not at all.</summary>
    public void Write(string text) => AtomicFile.Write(FullPath, text);

    public void Dispose() => _claim?.Dispose();
}
