using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Spectral.Training.IO;

/// <summary>
/// Flushes a folder's entries to disk. Otherwise a renamed file may have its old name after a power cut. .NET flushes
/// only files. Windows keeps names in its journal and does not need this.
/// </summary>
internal static partial class DirectorySync
{
    private const int ReadOnly = 0;
    private const int AccessDenied = 13;
    private const int InvalidArgument = 22; // these numbers are the same on all systems with these calls

    /// <summary>Waits until renames, new files and deletions in a folder are on the disk.</summary>
    /// <exception cref="IOException">The system reports that they could not be flushed.</exception>
    public static void Flush(string directory)
    {
        if (OperatingSystem.IsWindows())
            return;
        int folder = Open(directory, ReadOnly);
        if (folder < 0 && Marshal.GetLastPInvokeError() == AccessDenied)
            return; // a folder that may be written to but not listed
        if (folder < 0)
            throw Failure(directory);
        try
        {
            // Some network file systems do not support this call for folders. They give no guarantee that could be
            // waited for.
            if (Sync(folder) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
                throw Failure(directory);
        }
        finally
        {
            _ = Close(folder);
        }
    }

    private static IOException Failure(string directory) =>
        new($"{directory}: cannot be flushed to the disk: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
