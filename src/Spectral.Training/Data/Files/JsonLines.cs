using Spectral.Training.IO;

namespace Spectral.Training.Data.Files;

/// <summary>
/// Splits a file into its lines, as bytes. Blank lines are skipped. UTF-8 is checked record by record, so that an error
/// can name the line.
/// </summary>
internal static class JsonLines
{
    /// <summary>The largest number of bytes of a record.</summary>
    public const int MaximumRecord = 64 << 20;

    /// <summary>Returns the lines that are not blank.</summary>
    /// <exception cref="InputException">A line is too long.</exception>
    public static IEnumerable<RawRecord> Read(InputBuffer buffer, string path)
    {
        int number = 0;
        bool more = true;
        while (more)
        {
            (int length, more) = NextLine(buffer, path);
            number++;
            if (!IsBlank(buffer.First(length).Span))
                yield return new RawRecord(buffer.First(length), $"{path}, line {number}");
            if (more)
                buffer.Skip(length + 1);
        }
    }

    private static bool IsBlank(ReadOnlySpan<byte> line) =>
        line.IndexOfAnyExcept(" \t\r"u8) < 0 || line.SequenceEqual("\uFEFF"u8);

    // Returns the length of the next line, and whether it has an end.
    private static (int Length, bool Ends) NextLine(InputBuffer buffer, string path)
    {
        int seen = 0;
        while (true)
        {
            int at = buffer.Ahead[seen..].IndexOf((byte)'\n');
            if (at >= 0)
                return (seen + at, true);
            seen = buffer.Ahead.Length;
            if (seen > MaximumRecord)
            {
                throw new InputException(
                    $"{path}: a line of more than {MaximumRecord} bytes, expected one JSON object per line"
                );
            }
            if (!buffer.Fill())
                return (seen, false);
        }
    }
}
