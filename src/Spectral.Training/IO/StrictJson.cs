using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Spectral.Training.IO;

/// <summary>
/// Parses JSON from untrusted files. Anything wrong (missing, too big, not UTF-8, not JSON, too deep, a duplicate key,
/// half a surrogate pair) is reported as an <see cref="InputException"/> that names file and place. Later reads of
/// strings cannot fail.
/// </summary>
internal static class StrictJson
{
    // Far beyond any schema of a tool, and little enough for readers that call themselves.
    private const int MaximumDepth = 200;
    private const int LongestReason = 160;

    /// <summary>
    /// Reads and parses a whole file of at most <paramref name="maximumBytes"/>. The size is checked before memory is
    /// allocated.
    /// </summary>
    public static JsonDocument ParseFile(string path, long maximumBytes)
    {
        return Parse(ReadFile(path, maximumBytes), path);
    }

    /// <summary>Reads a file of at most <paramref name="maximumBytes"/>.</summary>
    public static byte[] ReadFile(string path, long maximumBytes)
    {
        try
        {
            RequireContent(path);
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (stream.Length > maximumBytes)
                throw new InputException($"{path}: {stream.Length} bytes, expected at most {maximumBytes}");
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>
    /// Refuses a path without content before it is opened. A pipe or device in an untrusted folder may block its reader
    /// forever, and has length 0.
    /// </summary>
    /// <exception cref="InputException">The file is a folder, or empty.</exception>
    public static void RequireContent(string path)
    {
        if (Directory.Exists(path))
            throw new InputException($"{path}: is a folder, expected a file");
        if (new FileInfo(path).Length == 0)
            throw new InputException($"{path}: 0 bytes, expected a regular file with something in it");
    }

    /// <summary>
    /// Parses one JSON text; <paramref name="where"/> begins every error message (a path, or path and line).
    /// </summary>
    public static JsonDocument Parse(ReadOnlyMemory<byte> utf8, string where)
    {
        if (utf8.Span.StartsWith("\uFEFF"u8))
            utf8 = utf8[3..];
        if (!Utf8.IsValid(utf8.Span))
            throw new InputException($"{where}: not UTF-8 at byte {FirstInvalidByte(utf8.Span)}");
        try
        {
            if (utf8.Span.IndexOf("\\u"u8) >= 0)
                ReadEscapes(utf8.Span, where);
            return JsonDocument.Parse(
                utf8,
                new JsonDocumentOptions { MaxDepth = MaximumDepth, AllowDuplicateProperties = false }
            );
        }
        catch (JsonException) when (IsTooDeep(utf8.Span))
        {
            throw new InputException(
                $"{where}: nested more than {MaximumDepth} levels deep, expected at most that many"
            );
        }
        catch (JsonException e)
        {
            string text = e.Message;
            int tail = text.IndexOf(" LineNumber:", StringComparison.Ordinal);
            if (tail >= 0)
                text = text[..tail];
            // For a misspelt literal, the parser's message contains everything that follows.
            if (text.Length > LongestReason)
                text = text[..LongestReason] + "…";
            string place = e.LineNumber is { } line ? $" (JSON line {line + 1}, byte {e.BytePositionInLine + 1})" : "";
            throw new InputException($"{where}: not valid JSON{place}: {text.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Returns the position of the first byte that is not valid UTF-8.</summary>
    public static int FirstInvalidByte(ReadOnlySpan<byte> utf8)
    {
        int at = 0;
        while (Rune.DecodeFromUtf8(utf8[at..], out _, out int used) == System.Buffers.OperationStatus.Done)
            at += used;
        return at;
    }

    // Whether it is that deep before anything else is wrong.
    private static bool IsTooDeep(ReadOnlySpan<byte> utf8)
    {
        Utf8JsonReader reader = new(utf8, new JsonReaderOptions { MaxDepth = MaximumDepth + 2 });
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth > MaximumDepth)
                    return true;
            }
        }
        catch (JsonException)
        {
            // Something else is wrong, which the caller says.
        }
        return false;
    }

    // JsonElement.GetString and Name throw InvalidOperationException on an escaped half surrogate. Finding it here
    // keeps all readers simple.
    private static void ReadEscapes(ReadOnlySpan<byte> utf8, string where)
    {
        Utf8JsonReader reader = new(utf8, new JsonReaderOptions { MaxDepth = MaximumDepth });
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) || !reader.ValueIsEscaped)
                continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new InputException(
                    $"{where}: half a surrogate pair escaped in the string at byte {reader.TokenStartIndex}",
                    e
                );
            }
        }
    }
}
