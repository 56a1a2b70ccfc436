using Spectral.Training.IO;

namespace Spectral.Cli.Output;

/// <summary>
/// What --out, or an option like it, names when the result is one file: absent or empty, unless --overwrite; written by
/// one process at a time.
/// </summary>
internal sealed class OutputFile : IDisposable
{
    private readonly string _given;
    private OutputClaim? _claim;

    /// <summary>Checks the rules; creates nothing.</summary>
    /// <param name="option">The option that names it, such as --out.</param>
    /// <param name="path">What the option names.</param>
    /// <param name="overwrite">Whether a file that is there may be replaced.</param>
    /// <param name="inputs">What the command reads: none of it may be written to.</param>
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
    /// Makes the folders on the way and keeps other processes out: to be called when all inputs are found good, before
    /// the work.
    /// </summary>
    /// <exception cref="InputException">Another process writes the file, or its folder cannot be written
    /// to.</exception>
    public void Claim() =>
        _claim = OutputClaim.Take(
            _given,
            Path.Combine(Path.GetDirectoryName(FullPath)!, $".{Path.GetFileName(FullPath)}.lock")
        );

    public void Dispose() => _claim?.Dispose();
}
