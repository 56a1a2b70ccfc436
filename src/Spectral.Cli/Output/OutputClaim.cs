using System.Globalization;
using System.Text;
using Spectral.Training.IO;

namespace Spectral.Cli.Output;

/// <summary>
/// Keeps other processes from writing where this one writes. The claim is a lock file that the system locks while it is
/// open, so that the lock ends with the process, however that ends. The file that a killed process leaves is unlocked,
/// and the next process takes it over. Taking the lock also shows, before any work is done, that the folder can be
/// written to.
/// </summary>
internal sealed class OutputClaim : IDisposable
{
    // EWOULDBLOCK on Linux and on macOS, ERROR_SHARING_VIOLATION on Windows. No exception type tells a lock from other
    // failures.
    private static readonly int[] LockedCodes = [11, 35, unchecked((int)0x80070020)];
    private static readonly byte[] Explanation = Encoding.ASCII.GetBytes(
        "The spectral process that writes here holds this file open. Without such a process it has no effect.\n"
    );

    private readonly List<string> _created;
    private readonly string _path;
    private FileStream? _file;

    private OutputClaim(string path, FileStream file, List<string> created) =>
        (_path, _file, _created) = (path, file, created);

    /// <summary>Whether the folder of the lock file was created with it.</summary>
    public bool MadeFolder => _created.Count > 0 && _created[^1] == Path.GetDirectoryName(_path);

    /// <summary>Creates the folders that are missing, and takes the lock.</summary>
    /// <param name="given">The option as it was given, for messages.</param>
    /// <param name="path">The lock file.</param>
    /// <exception cref="InputException">Another process holds the lock, or the folder cannot be written to.</exception>
    public static OutputClaim Take(string given, string path)
    {
        var created = new List<string>();
        FileStream? file = null;
        try
        {
            do
            {
                file?.Dispose();
                file = null;
                MakeFolders(Path.GetDirectoryName(path)!, created);
                file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, bufferSize: 0);
            } while (IsRemoved(file));
            file.Write(Explanation);
            return new OutputClaim(path, file, created);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            if (file is not null)
                File.Delete(path);
            file?.Dispose();
            Remove(created);
            throw error is IOException && IsLock(error)
                ? InUse(given, path, error)
                : new InputException($"{given}: cannot be written to: {error.Message}", error);
        }
    }

    /// <summary>Checks that no other process holds the lock at this moment.</summary>
    /// <exception cref="InputException">Another process holds the lock.</exception>
    public static void RequireFree(string given, string path)
    {
        try
        {
            if (File.Exists(path))
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None).Dispose();
        }
        catch (IOException error) when (IsLock(error))
        {
            throw InUse(given, path, error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The file is gone, or this user may not read it. Taking the lock will tell.
        }
    }

    /// <summary>Removes the lock file, and the folders created for it that are empty.</summary>
    public void Dispose()
    {
        if (_file is null)
            return;
        // The file is removed while it is still locked, as another process may take it over once it is unlocked.
        // Windows does not remove open files.
        if (!OperatingSystem.IsWindows())
            TryDelete(_path);
        _file.Dispose();
        if (OperatingSystem.IsWindows())
            TryDelete(_path);
        _file = null;
        Remove(_created);
    }

    private static void MakeFolders(string folder, List<string> created)
    {
        var missing = new Stack<string>();
        for (string? at = folder; at is not null && !Directory.Exists(at); at = Path.GetDirectoryName(at))
            missing.Push(at);
        foreach (string path in missing)
        {
            Directory.CreateDirectory(path);
            if (!created.Contains(path))
                created.Add(path);
        }
    }

    private static void Remove(List<string> created)
    {
        try
        {
            foreach (string folder in Enumerable.Reverse(created))
                Directory.Delete(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A folder that is not empty now stays, and so do those above it.
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // An unlocked lock file has no effect.
        }
    }

    private static bool IsLock(Exception error) => LockedCodes.Contains(error.HResult);

    /// <summary>
    /// Returns whether another process removed the file after this one had opened it; such a lock would exclude nobody.
    /// </summary>
    private static bool IsRemoved(FileStream file) =>
        OperatingSystem.IsLinux()
        && new FileInfo($"/proc/self/fd/{file.SafeFileHandle.DangerousGetHandle()}").LinkTarget?.EndsWith(
            " (deleted)",
            StringComparison.Ordinal
        ) == true;

    private static InputException InUse(string given, string path, Exception error) =>
        new(
            $"{given}: {Holder(path) ?? "another process"} is writing to it; expected a path that no "
                + "other process writes to",
            error
        );

    /// <summary>Returns the process that has the file open; null if the system does not tell.</summary>
    private static string? Holder(string path)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        foreach (
            string process in Directory
                .EnumerateDirectories("/proc")
                .Where(folder => int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out _))
        )
        {
            try
            {
                if (
                    Directory
                        .EnumerateFiles(Path.Combine(process, "fd"))
                        .Any(open => new FileInfo(open).LinkTarget == path)
                )
                {
                    return "process " + Path.GetFileName(process);
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // The process has ended, or belongs to another user.
            }
        }
        return null;
    }
}
