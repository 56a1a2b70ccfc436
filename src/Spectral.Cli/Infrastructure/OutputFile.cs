using Spectral.Training;

namespace Spectral.Cli;

/// <summary>What --out names when the result is one file: absent or empty, unless --overwrite.</summary>
internal static class OutputFile
{
    /// <summary>Checks the rules and returns the full path; creates nothing.</summary>
    /// <exception cref="InputException">The file may not be written.</exception>
    public static string Check(string path, bool overwrite, string input)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full)) throw new InputException($"--out \"{path}\": is a folder; expected the name of a file");
        if (full == Path.GetFullPath(input)) throw new InputException($"--out \"{path}\": is read by this command; expected another file");
        if (!overwrite && File.Exists(full) && new FileInfo(full).Length > 0)
            throw new InputException($"--out \"{path}\": exists; expected an absent or empty file (--overwrite replaces it)");
        OutputFolder.RequireFolderAbove(path, full);
        return full;
    }
}
