namespace Spectral.Training.Chat.Values;

/// <summary>Texts as Python counts them, by code points, where .NET counts UTF-16 units.</summary>
internal static class CodePoints
{
    private static readonly string[] Ascii = [.. Enumerable.Range(0, 128).Select(code => ((char)code).ToString())];

    /// <summary>Returns the number of code points.</summary>
    public static int Count(string text)
    {
        int count = text.Length;
        for (int i = First(text); i >= 0 && i + 1 < text.Length; i++)
        {
            if (char.IsSurrogatePair(text[i], text[i + 1]))
            {
                count--;
                i++;
            }
        }
        return count;
    }

    /// <summary>Returns the code points, each as a text.</summary>
    public static IEnumerable<object?> Of(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] < 128)
                yield return Ascii[text[i]];
            else if (IsPair(text, i))
                yield return text.Substring(i++, 2);
            else
                yield return text[i].ToString();
        }
    }

    /// <summary>Returns a part of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="start">The number of code points before the part.</param>
    /// <param name="count">The number of code points of the part.</param>
    public static string Slice(string text, int start, int count)
    {
        if (count <= 0)
            return "";
        int from = Offset(text, 0, start);
        return text[from..Offset(text, from, count)];
    }

    /// <summary>Returns the position in UTF-16 units that lies some code points after another one.</summary>
    public static int Offset(string text, int from, int count)
    {
        if (First(text) < 0)
            return Math.Min(text.Length, from + count);
        int at = from;
        for (; count > 0 && at < text.Length; count--)
            at += IsPair(text, at) ? 2 : 1;
        return at;
    }

    private static bool IsPair(string text, int at) =>
        at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]);

    // The first surrogate; −1 if both ways of counting agree, as for most texts.
    private static int First(string text) => text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff');
}
