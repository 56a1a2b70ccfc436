namespace Spectral.Training.IO;

/// <summary>
/// Resolves files of a folder from an untrusted source. Its contents must not reach other files of the machine: names
/// are plain, and a symbolic link is followed only within the folder itself, or into the <c>blobs</c> folder of the hub
/// cache repository of which the folder is a snapshot (<c>models--…/snapshots/REVISION</c> contains only links into
/// <c>models--…/blobs</c>).
/// </summary>
internal static class FolderFile
{
    private const int LongestName = 255;
    private const int MostLinks = 40;

    /// <summary>
    /// Checks that a folder exists. Nothing is downloaded, so that the name of a model on a hub is refused.
    /// </summary>
    /// <param name="directory">The folder's path.</param>
    /// <param name="expected">What was expected, such as "model folder with config.json".</param>
    /// <exception cref="InputException">There is no such folder, or it is a file.</exception>
    public static void RequireFolder(string directory, string expected)
    {
        if (Directory.Exists(directory))
            return;
        if (File.Exists(directory))
            throw new InputException($"{directory}: a file, expected a local {expected}");
        string[] parts = directory.Split('/');
        string hint =
            parts.Length == 2 && parts.All(part => part.Length > 0 && part is not ("." or ".." or "~"))
                ? $" ({InputText.Quote(directory)} may be a name on the Hugging Face hub: download it first, then give "
                    + "the folder's path)"
                : "";
        throw new InputException(
            $"{directory}: no such folder, expected a local {expected}; models are not downloaded{hint}"
        );
    }

    /// <summary>Returns whether a file of the folder may refer to another one by a name.</summary>
    public static bool IsPlainName(string name) =>
        name.Length is > 0 and <= LongestName
        && name is not ("." or "..")
        && name.IndexOfAny(['/', '\\', ':', '\0']) < 0;

    /// <summary>Returns the path of a file in a folder. The file need not exist.</summary>
    /// <exception cref="InputException">It is a link that leads out of the folder or in a circle.</exception>
    public static string At(string directory, string name)
    {
        string path = Path.Combine(directory, name);
        try
        {
            if (new FileInfo(path).LinkTarget is null)
                return path;
            string real = RealPath(path);
            string folder = RealPath(directory);
            if (IsIn(folder, real) || (Blobs(folder) is { } blobs && IsIn(blobs, real)))
                return path;
            throw new InputException(
                $"{path}: a symbolic link to {real}, outside the folder; expected a file in it, or a link "
                    + "into the blobs folder "
                    + "of the same Hugging Face cache repository (copy the file here if you trust it)"
            );
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static bool IsIn(string folder, string path) =>
        path.StartsWith(
            Path.EndsInDirectorySeparator(folder) ? folder : folder + Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    // The folder may also be inside a snapshot.
    private static string? Blobs(string folder)
    {
        for (string? at = folder; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Path.GetDirectoryName(at) is { } snapshots && Path.GetFileName(snapshots) == "snapshots")
                return Path.Combine(Path.GetDirectoryName(snapshots)!, "blobs");
        }
        return null;
    }

    // Links in all components of the path are followed, as the system would do; .NET follows only one at the end.
    private static string RealPath(string path)
    {
        string full = Path.GetFullPath(path);
        string real = Path.GetPathRoot(full)!;
        Stack<string> ahead = [];
        Push(full[real.Length..]);
        int links = 0;
        while (ahead.TryPop(out string? part))
        {
            string next = part switch
            {
                ".." => Path.GetDirectoryName(real) ?? real,
                "." => real,
                _ => Path.Combine(real, part),
            };
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }
            if (++links > MostLinks)
                throw new IOException("too many levels of symbolic links");
            string root = Path.GetPathRoot(target)!;
            if (root.Length > 0)
                real = root;
            Push(target[root.Length..]);
        }
        return real;

        void Push(string parts)
        {
            foreach (
                string part in parts.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse()
            )
            {
                ahead.Push(part);
            }
        }
    }
}
