using System.Text;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// Reads the entries of an option from a file: one or more on each line, separated by commas; lines that begin with
/// <c>#</c> are comments.
/// </summary>
internal static class OptionFile
{
    private const long Largest = 1 << 20;

    /// <summary>Returns the entries of a file.</summary>
    /// <exception cref="InputException">The file is missing or too large.</exception>
    public static string[] Entries(string path) =>
        [
            .. Encoding
                .UTF8.GetString(StrictJson.ReadFile(path, Largest))
                .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(line => !line.StartsWith('#'))
                .SelectMany(line => line.Split(',')),
        ];
}
