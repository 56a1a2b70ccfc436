using Spectral.Training.IO;

namespace Spectral.Cli.Output;

/// <summary>
/// Resolves and checks the path of an option such as --out, before anything is created. Messages begin with the option
/// as it was given.
/// </summary>
internal static class OutputPath
{
    /// <summary>Returns the full path; if it is a symbolic link, that of its target.</summary>
    /// <exception cref="InputException">A part of the path is a file or a link without a target, or the path is not on
    /// a disk.</exception>
    public static string Resolve(string given, string path)
    {
        string full = Follow(given, Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        // A result is renamed to its path, which would replace a device.
        if (
            full.StartsWith("/dev/", StringComparison.Ordinal)
            && !full.StartsWith("/dev/shm/", StringComparison.Ordinal)
        )
        {
            throw new InputException($"{given}: {full} is among the devices; expected a path on a disk");
        }

        for (string? above = Path.GetDirectoryName(full); above is not null; above = Path.GetDirectoryName(above))
        {
            if (Directory.Exists(above))
                return full;
            Follow(given, above);
            if (File.Exists(above))
                throw new InputException($"{given}: {above} is a file; expected a folder");
        }
        throw new InputException($"{given}: expected a path inside an existing file system");
    }

    /// <summary>Refuses a path that the command reads.</summary>
    /// <exception cref="InputException">The path is one of the inputs, or a file of a model that is read.</exception>
    public static void RequireNoInput(string given, string full, string wanted, ReadOnlySpan<string?> inputs)
    {
        foreach (string? input in inputs)
        {
            if (input is null)
                continue;
            string read = Follow(given, Path.TrimEndingDirectorySeparator(Path.GetFullPath(input)), orStay: true);
            // A page or a table may be written to the folder of a model, but may not replace one of the model's files.
            bool isPart =
                Path.GetDirectoryName(full) == read
                && Path.GetExtension(full) is ".safetensors" or ".json"
                && File.Exists(full);
            if (full == read || isPart)
                throw new InputException($"{given}: is read by this command; expected another {wanted}");
        }
    }

    private static string Follow(string given, string path, bool orStay = false)
    {
        string? link = null;
        try
        {
            if ((link = new FileInfo(path).LinkTarget) is null)
                return path;
            if (
                File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target
                && (Directory.Exists(target.FullName) || File.Exists(target.FullName))
            )
            {
                return Path.TrimEndingDirectorySeparator(target.FullName);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            if (!orStay && link is null)
                throw new InputException($"{given}: cannot be reached: {error.Message}", error);
        }
        return orStay
            ? path
            : throw new InputException(
                $"{given}: {path} is a symbolic link to {link}, which leads nowhere; expected a link to a "
                    + "folder that exists"
            );
    }
}
