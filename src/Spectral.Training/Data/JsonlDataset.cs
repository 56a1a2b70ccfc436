using System.Text.Json;
using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>
/// Reads data files: one JSON object per line, <c>{"prompt": …, "completion": …}</c>, <c>{"text": …}</c> or
/// <c>{"messages": […]}</c>. Blank lines are skipped and other keys ignored, except that those beside messages are
/// variables of the chat template; anything else is an error that names the line.
/// </summary>
public static class JsonlDataset
{
    private const int MaximumLine = 64 << 20;

    /// <summary>Reads all records of a file, in order.</summary>
    /// <exception cref="InputException">
    /// The file is missing, has no record, or a line is not a record; the message names the line.
    /// </exception>
    public static IReadOnlyList<TrainingRecord> Load(string path)
    {
        List<TrainingRecord> records = [];
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            int number = 0;
            foreach (ReadOnlyMemory<byte> line in Lines(stream, path))
            {
                number++;
                if (line.Span.IndexOfAnyExcept(" \t\r"u8) >= 0 && !line.Span.SequenceEqual("\uFEFF"u8))
                    records.Add(Parse(line, $"{path}, line {number}"));
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
        return records.Count > 0
            ? records
            : throw new InputException($"{path}: no records, expected one JSON object per line");
    }

    private static TrainingRecord Parse(ReadOnlyMemory<byte> line, string place)
    {
        using JsonDocument document = StrictJson.Parse(line, place);
        JsonFields fields = new(document.RootElement, place);
        if (fields.Has("messages"))
            return TrainingRecord.Of(Conversation.Read(document.RootElement, place));
        string? prompt = fields.Text("prompt");
        string? completion = fields.Text("completion");
        string? text = fields.Text("text");
        if (text is not null && (prompt is not null || completion is not null))
            throw new InputException($"{place}: has text beside prompt or completion, expected one or the other");
        if (text is null && (prompt is null || completion is null))
        {
            string lacking = (prompt, completion) switch
            {
                ({ }, _) => "completion",
                (_, { }) => "prompt",
                _ => "prompt, completion and text",
            };
            throw new InputException($"{place}: {lacking} missing or null, expected prompt and completion, or text");
        }
        return new TrainingRecord(prompt, completion, text, place);
    }

    // Returns lines without their ends, as bytes. UTF-8 is checked line by line, so that an error can name the line.
    private static IEnumerable<ReadOnlyMemory<byte>> Lines(Stream stream, string path)
    {
        byte[] buffer = new byte[1 << 16];
        int start = 0;
        int end = 0;
        while (true)
        {
            int length = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                yield return buffer.AsMemory(start, length);
                start += length + 1;
                continue;
            }
            if (end - start > MaximumLine)
            {
                throw new InputException(
                    $"{path}: a line of more than {MaximumLine} bytes, expected one JSON object per line"
                );
            }

            byte[] target = start == 0 && end == buffer.Length ? new byte[2 * buffer.Length] : buffer;
            buffer.AsSpan(start, end - start).CopyTo(target);
            (buffer, start, end) = (target, 0, end - start);
            int read = stream.Read(buffer, end, buffer.Length - end);
            if (read == 0)
                break;
            end += read;
        }
        if (end > start)
            yield return buffer.AsMemory(start, end - start);
    }
}
