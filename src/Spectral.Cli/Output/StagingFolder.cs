using System.Diagnostics;
using System.Globalization;

namespace Spectral.Cli.Output;

/// <summary>
/// The hidden folder that a result is written to before it gets its name: beside the result's folder if that is renamed
/// from it, in it if files are moved from it. Its name has the process that writes, so that the next one can tell what
/// a killed process left.
/// </summary>
internal static class StagingFolder
{
    private const string Ending = ".partial";

    /// <summary>Returns the staging folder of this process beside a result.</summary>
    public static string Beside(string result) =>
        Path.Combine(Path.GetDirectoryName(result)!, $"{PrefixBeside(result)}{Environment.ProcessId}{Ending}");

    /// <summary>Returns the staging folder of this process in a result.</summary>
    public static string In(string result) => Path.Combine(result, $".{Environment.ProcessId}{Ending}");

    /// <summary>Returns whether an entry of a result's folder is a staging folder.</summary>
    public static bool IsIn(string entry) => Owner(entry, ".") is not null;

    /// <summary>
    /// Removes the staging folders of a result that no process writes to any more. To be called with the result locked:
    /// then only a process that is just renaming its staging folder has one, and that process runs. A folder that
    /// cannot be removed stays.
    /// </summary>
    public static void RemoveAbandoned(string result)
    {
        Remove(result, ".");
        Remove(Path.GetDirectoryName(result)!, PrefixBeside(result));
    }

    private static string PrefixBeside(string result) => $".{Path.GetFileName(result)}.";

    private static void Remove(string folder, string prefix)
    {
        try
        {
            foreach (string entry in Directory.GetDirectories(folder, $"{prefix}*{Ending}"))
            {
                if (Owner(entry, prefix) is { } owner && !IsOther(owner))
                    Directory.Delete(entry, recursive: true);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It takes space, but is in nobody's way.
        }
    }

    /// <summary>Returns the process that a staging folder is named after; null: it is no staging folder.</summary>
    private static int? Owner(string entry, string prefix)
    {
        string name = Path.GetFileName(entry);
        return
            name.Length > prefix.Length + Ending.Length
            && name.StartsWith(prefix, StringComparison.Ordinal)
            && name.EndsWith(Ending, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan()[prefix.Length..^Ending.Length], NumberStyles.None, null, out int process)
            ? process
            : null;
    }

    /// <summary>Returns whether a process other than this one runs, which may have the number of one killed.</summary>
    private static bool IsOther(int process)
    {
        if (process == Environment.ProcessId)
            return false;
        try
        {
            Process.GetProcessById(process).Dispose();
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
