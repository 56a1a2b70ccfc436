using System.Text;

namespace Spectral.Training.IO;

/// <summary>Writes files that appear complete or not at all.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a text as UTF-8, atomically.</summary>
    public static void Write(string path, string text) =>
        Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Writes a file atomically: <paramref name="write"/> fills a temporary file in the same directory, which is
    /// flushed to disk and renamed to <paramref name="path"/>. The rename is on disk too when this returns. If anything
    /// throws, the temporary file is deleted and the old file is unchanged.
    /// </summary>
    public static void Write(string path, Action<Stream> write)
    {
        string full = Path.GetFullPath(path);
        string temporary = Path.Combine(
            Path.GetDirectoryName(full)!,
            $".{Path.GetFileName(full)}.{Guid.NewGuid():N}.tmp"
        );
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
            DirectorySync.Flush(Path.GetDirectoryName(full)!);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
