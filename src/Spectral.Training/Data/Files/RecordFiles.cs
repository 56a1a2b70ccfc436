using Spectral.Training.IO;

namespace Spectral.Training.Data.Files;

/// <summary>Finds the files of a path and reads each by what it contains.</summary>
internal static class RecordFiles
{
    private static readonly string[] Extensions = [".jsonl", ".json", ".parquet"];

    /// <summary>Returns the files of a folder in the ordinal order of their names, or the file itself.</summary>
    /// <exception cref="InputException">The folder has none, or cannot be read.</exception>
    public static IReadOnlyList<string> Of(string path)
    {
        if (!Directory.Exists(path))
            return [path];
        try
        {
            string[] files =
            [
                .. Directory
                    .EnumerateFiles(path)
                    .Where(file => Extensions.Contains(Path.GetExtension(file).ToLowerInvariant()))
                    .OrderBy(Path.GetFileName, StringComparer.Ordinal),
            ];
            return files.Length > 0
                ? files
                : throw new InputException(
                    $"{path}: a folder without data, expected files that end in {string.Join(" or ", Extensions)}"
                );
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads the records of a file.</summary>
    /// <exception cref="InputException">The file is missing, cannot be read, or is cut off.</exception>
    public static IEnumerable<RawRecord> Read(string path)
    {
        using FileStream stream = Guard(
            path,
            () => new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1)
        );
        using IEnumerator<RawRecord> records = Guard(path, () => Open(stream, path).GetEnumerator());
        while (Guard(path, records.MoveNext))
            yield return records.Current;
    }

    private static IEnumerable<RawRecord> Open(FileStream stream, string path)
    {
        InputBuffer buffer = new(stream);
        if (ParquetRecords.IsAhead(buffer))
            return ParquetRecords.Read(stream, path);
        return JsonArray.IsAhead(buffer) ? JsonArray.Read(buffer, path) : JsonLines.Read(buffer, path);
    }

    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
