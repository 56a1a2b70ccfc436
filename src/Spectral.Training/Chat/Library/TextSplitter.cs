using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's <c>split</c> and <c>rsplit</c>.</summary>
internal static class TextSplitter
{
    /// <summary>Splits at a separator, at most <paramref name="most"/> times.</summary>
    public static List<string> At(string text, string separator, long most, bool fromRight)
    {
        if (separator.Length == 0)
            throw TemplateError.Value("empty separator");
        List<string> parts = [];
        while (parts.Count < most)
        {
            int at = fromRight
                ? text.LastIndexOf(separator, StringComparison.Ordinal)
                : text.IndexOf(separator, StringComparison.Ordinal);
            if (at < 0)
                break;
            parts.Add(fromRight ? text[(at + separator.Length)..] : text[..at]);
            text = fromRight ? text[..at] : text[(at + separator.Length)..];
        }
        parts.Add(text);
        if (fromRight)
            parts.Reverse();
        return parts;
    }

    /// <summary>Splits at runs of white space, at most <paramref name="most"/> times.</summary>
    public static List<string> AtSpaces(string text, long most, bool fromRight)
    {
        List<string> parts = [];
        string rest = Spaces.Strip(text, null, left: !fromRight, right: fromRight);
        while (rest.Length > 0 && parts.Count < most)
        {
            int at = fromRight ? LastSpace(rest) : FirstSpace(rest);
            if (at < 0)
                break;
            parts.Add(fromRight ? rest[(at + 1)..] : rest[..at]);
            rest = Spaces.Strip(fromRight ? rest[..at] : rest[at..], null, left: !fromRight, right: fromRight);
        }
        // Without a limit, nothing is left but white space at the other end.
        string last = most == int.MaxValue ? Spaces.Strip(rest, null, true, true) : rest;
        if (last.Length > 0)
            parts.Add(last);
        if (fromRight)
            parts.Reverse();
        return parts;
    }

    private static int FirstSpace(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (Spaces.IsSpace(text[i]))
                return i;
        }
        return -1;
    }

    private static int LastSpace(string text)
    {
        for (int i = text.Length - 1; i >= 0; i--)
        {
            if (Spaces.IsSpace(text[i]))
                return i;
        }
        return -1;
    }
}
