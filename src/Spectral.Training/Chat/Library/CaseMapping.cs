using System.Globalization;
using System.Text;

namespace Spectral.Training.Chat.Library;

/// <summary>Upper, lower and title case as Python has them: a letter may become several.</summary>
internal static class CaseMapping
{
    // Unicode's SpecialCasing: upper case, and title case where it differs.
    private static readonly Dictionary<char, (string Upper, string Title)> Special = new()
    {
        ['ß'] = ("SS", "Ss"),
        ['ŉ'] = ("ʼN", "ʼN"),
        ['ǰ'] = ("J\u030c", "J\u030c"),
        ['ΐ'] = ("Ι\u0308\u0301", "Ι\u0308\u0301"),
        ['ΰ'] = ("Υ\u0308\u0301", "Υ\u0308\u0301"),
        ['և'] = ("ԵՒ", "Եւ"),
        ['ẖ'] = ("H\u0331", "H\u0331"),
        ['ẗ'] = ("T\u0308", "T\u0308"),
        ['ẘ'] = ("W\u030a", "W\u030a"),
        ['ẙ'] = ("Y\u030a", "Y\u030a"),
        ['ẚ'] = ("Aʾ", "Aʾ"),
        ['ﬀ'] = ("FF", "Ff"),
        ['ﬁ'] = ("FI", "Fi"),
        ['ﬂ'] = ("FL", "Fl"),
        ['ﬃ'] = ("FFI", "Ffi"),
        ['ﬄ'] = ("FFL", "Ffl"),
        ['ﬅ'] = ("ST", "St"),
        ['ﬆ'] = ("ST", "St"),
        ['ﬓ'] = ("ՄՆ", "Մն"),
        ['ﬔ'] = ("ՄԵ", "Մե"),
        ['ﬕ'] = ("ՄԻ", "Մի"),
        ['ﬖ'] = ("ՎՆ", "Վն"),
        ['ﬗ'] = ("ՄԽ", "Մխ"),
        ['ı'] = ("I", "I"),
        ['ſ'] = ("S", "S"),
    };

    /// <summary>Returns the text in upper case.</summary>
    public static string Upper(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\x7f') < 0)
            return text.ToUpperInvariant();
        var builder = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.IsBmp && Special.TryGetValue((char)rune.Value, out (string Upper, string) special))
                builder.Append(special.Upper);
            else
                builder.Append(Rune.ToUpperInvariant(rune));
        }
        return builder.ToString();
    }

    /// <summary>Returns the text in lower case, with a final sigma at the end of words.</summary>
    public static string Lower(string text)
    {
        if (text.AsSpan().IndexOfAny('İ', 'Σ') < 0)
            return text.ToLowerInvariant();
        var builder = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == 'İ')
                builder.Append("i\u0307");
            else if (text[i] == 'Σ')
                builder.Append(IsFinal(text, i) ? 'ς' : 'σ');
            else
                builder.Append(char.ToLowerInvariant(text[i]));
        }
        return builder.ToString();
    }

    /// <summary>Returns the text with its first character in title case and the others in lower case.</summary>
    public static string Capitalize(string text)
    {
        int first = FirstLength(text);
        return first == 0 ? "" : Title(text[..first]) + Lower(text)[Lower(text[..first]).Length..];
    }

    /// <summary>Returns the text with each run of letters in title case, as <c>str.title</c> does.</summary>
    public static string TitleWords(string text)
    {
        string lower = Lower(text);
        var builder = new StringBuilder(text.Length);
        bool inWord = false;
        for (int i = 0; i < text.Length; i++)
        {
            bool isCased = IsCased(text[i]);
            if (inWord)
                builder.Append(lower.Length == text.Length ? lower[i].ToString() : Lower(text[i].ToString()));
            else
                builder.Append(isCased ? Title(text[i].ToString()) : text[i].ToString());
            inWord = isCased;
        }
        return builder.ToString();
    }

    /// <summary>Returns the text with the case of each letter swapped.</summary>
    public static string Swap(string text)
    {
        string lower = Lower(text);
        return string.Concat(
            text.Select(
                (c, i) =>
                {
                    if (char.IsUpper(c))
                        return lower.Length == text.Length ? lower[i].ToString() : Lower(c.ToString());
                    return char.IsLower(c) ? Upper(c.ToString()) : c.ToString();
                }
            )
        );
    }

    /// <summary>Returns the text for comparisons without regard to case.</summary>
    public static string Fold(string text) => Lower(text.Replace("ß", "ss").Replace("ẞ", "ss")).Replace('ς', 'σ');

    /// <summary>Returns whether a character has case.</summary>
    public static bool IsCased(char c) =>
        char.IsUpper(c) || char.IsLower(c) || char.GetUnicodeCategory(c) == UnicodeCategory.TitlecaseLetter;

    private static string Title(string character) =>
        character switch
        {
            [var c] when Special.TryGetValue(c, out (string, string Title) special) => special.Title,
            ['Ǆ'] or ['ǅ'] or ['ǆ'] => "ǅ",
            ['Ǉ'] or ['ǈ'] or ['ǉ'] => "ǈ",
            ['Ǌ'] or ['ǋ'] or ['ǌ'] => "ǋ",
            ['Ǳ'] or ['ǲ'] or ['ǳ'] => "ǲ",
            [>= 'ა' and <= 'ჿ'] => character,
            _ => character.ToUpperInvariant(),
        };

    private static int FirstLength(string text) =>
        text.Length > 1 && char.IsSurrogatePair(text[0], text[1]) ? 2 : Math.Min(text.Length, 1);

    private static bool IsFinal(string text, int at)
    {
        int before = at - 1;
        while (before >= 0 && !char.IsLetter(text[before]) && IsIgnored(text[before]))
            before--;
        int after = at + 1;
        while (after < text.Length && !char.IsLetter(text[after]) && IsIgnored(text[after]))
            after++;
        return before >= 0 && IsCased(text[before]) && !(after < text.Length && IsCased(text[after]));
    }

    private static bool IsIgnored(char c) =>
        c is '\'' or '.' or ':' or '^' or '`' or '’'
        || char.GetUnicodeCategory(c)
            is UnicodeCategory.NonSpacingMark
                or UnicodeCategory.EnclosingMark
                or UnicodeCategory.Format
                or UnicodeCategory.ModifierLetter
                or UnicodeCategory.ModifierSymbol;
}
