using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Spectral.Training.IO;

/// <summary>
/// Brings the names in a folder to the disk: after a power cut a renamed file may else be under its old name. .NET
/// flushes files alone. Windows keeps names in its journal and needs none of this.
/// </summary>
internal static partial class DirectorySync
{
    private const int ReadOnly = 0;
    private const int AccessDenied = 13;
    private const int InvalidArgument = 22; // the same numbers on all systems that have the calls

    /// <summary>Waits until renames, new files and deletions in a folder are on the disk.</summary>
    /// <exception cref="IOException">The system says that they could not be brought there.</exception>
    public static void Flush(string directory)
    {
        if (OperatingSystem.IsWindows())
            return;
        int folder = Open(directory, ReadOnly);
        if (folder < 0 && Marshal.GetLastPInvokeError() == AccessDenied)
            return; // a folder that may be written to and not listed
        if (folder < 0)
            throw Failure(directory);
        try
        {
            // Some network file systems know no such call for folders; they promise nothing that could be waited for.
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
