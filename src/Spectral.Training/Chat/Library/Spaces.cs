namespace Spectral.Training.Chat.Library;

/// <summary>White space and line ends, as Python's str methods see them.</summary>
internal static class Spaces
{
    /// <summary>Returns whether Python's <c>isspace</c> holds.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    /// <summary>Removes characters from both ends, or one of them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="characters">The characters to remove; null: white space.</param>
    /// <param name="left">Whether to remove from the beginning.</param>
    /// <param name="right">Whether to remove from the end.</param>
    public static string Strip(string text, string? characters, bool left, bool right)
    {
        int start = 0;
        int end = text.Length;
        while (left && start < end && IsStripped(text[start], characters))
            start++;
        while (right && end > start && IsStripped(text[end - 1], characters))
            end--;
        return text[start..end];
    }

    /// <summary>Splits a text into lines at any of Python's line ends.</summary>
    public static List<string> Lines(string text, bool keepEnds)
    {
        List<string> lines = [];
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (
                text[i]
                is not ('\n' or '\r' or '\v' or '\f' or (>= '\x1c' and <= '\x1e') or '\x85' or '\u2028' or '\u2029')
            )
            {
                continue;
            }
            int end = i;
            if (text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n')
                i++;
            lines.Add(text[start..(keepEnds ? i + 1 : end)]);
            start = i + 1;
        }
        if (start < text.Length)
            lines.Add(text[start..]);
        return lines;
    }

    private static bool IsStripped(char c, string? characters) =>
        characters is null ? IsSpace(c) : characters.Contains(c);
}
