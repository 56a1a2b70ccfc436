using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Spectral.Training;

/// <summary>
/// A pattern of a tokenizer file, matched on code points. .NET's expressions see UTF-16 units, where no class matches a letter beyond
/// U+FFFF: such characters are replaced by one of the same category from the basic plane before matching, and positions mapped back.
/// </summary>
internal sealed class SplitPattern
{
    // A pattern in a file may take exponential time. This bounds one match of it, and with so much for each character, hundreds of times what
    // real ones take, all of its matches.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2), LimitPerCharacter = TimeSpan.FromMicroseconds(50);

    // Stand-ins by category: rare characters that no pattern is likely to name.
    private static readonly Dictionary<UnicodeCategory, char> StandIns = new()
    {
        [UnicodeCategory.UppercaseLetter] = '\uA722', [UnicodeCategory.LowercaseLetter] = '\uA723',
        [UnicodeCategory.TitlecaseLetter] = '\u1F88', [UnicodeCategory.ModifierLetter] = '\uA67F', [UnicodeCategory.OtherLetter] = '\uA4D0',
        [UnicodeCategory.NonSpacingMark] = '\u1DC0', [UnicodeCategory.SpacingCombiningMark] = '\uA823',
        [UnicodeCategory.EnclosingMark] = '\uA670', [UnicodeCategory.DecimalDigitNumber] = '\uA8D0',
        [UnicodeCategory.LetterNumber] = '\uA6E6', [UnicodeCategory.OtherNumber] = '\uA830',
        [UnicodeCategory.ConnectorPunctuation] = '\uFE4D', [UnicodeCategory.DashPunctuation] = '\u2E3A',
        [UnicodeCategory.OpenPunctuation] = '\u2E22', [UnicodeCategory.ClosePunctuation] = '\u2E23',
        [UnicodeCategory.InitialQuotePunctuation] = '\u2E02', [UnicodeCategory.FinalQuotePunctuation] = '\u2E03',
        [UnicodeCategory.OtherPunctuation] = '\u2E2A', [UnicodeCategory.MathSymbol] = '\u2A00', [UnicodeCategory.CurrencySymbol] = '\u20B8',
        [UnicodeCategory.ModifierSymbol] = '\uA700', [UnicodeCategory.OtherSymbol] = '\uA490', [UnicodeCategory.Format] = '\uFFF9',
        [UnicodeCategory.PrivateUse] = '\uE000', [UnicodeCategory.OtherNotAssigned] = '\uFDD0',
    };

    private readonly Regex? expression;
    private readonly string literal;
    private readonly string where;
    private long spent, characters;

    private SplitPattern(Regex? expression, string literal, string where)
    {
        this.expression = expression;
        this.literal = literal;
        this.where = where;
    }

    /// <summary>A regular expression; <paramref name="where"/> names file and key in errors.</summary>
    public static SplitPattern FromExpression(string pattern, string where)
    {
        // Constructs that mean something else in .NET must not be taken silently.
        if (pattern.Length > 10_000 || pattern.Any(char.IsSurrogate) || pattern.Contains("&&", StringComparison.Ordinal)
            || pattern.Contains("-[", StringComparison.Ordinal))
            throw new InputException($"{where}: the pattern {InputText.Quote(pattern)} is not supported (too long, set operations, or "
                + "characters beyond U+FFFF)");
        try
        {
            return new SplitPattern(new Regex(pattern, RegexOptions.CultureInvariant, Limit), pattern, where);
        }
        catch (Exception e) when (e is ArgumentException or InsufficientExecutionStackException)
        {
            throw new InputException($"{where}: the pattern {InputText.Quote(pattern)} is not supported: {InputText.Quote(e.Message)}", e);
        }
    }

    /// <summary>A fixed text.</summary>
    public static SplitPattern FromLiteral(string text, string where) => new(null, text, where);

    /// <summary>Reads {"Regex": …} or {"String": …}.</summary>
    public static SplitPattern Read(JsonFields owner, string key, string where)
    {
        JsonFields fields = owner.Object(key) ?? throw owner.Wrong(key, "an object with Regex or String");
        if (fields.Text("Regex") is { } pattern)
            return FromExpression(pattern, where);
        return FromLiteral(fields.Text("String") ?? throw fields.Wrong("Regex", "a string, or a String beside it"), where);
    }

    /// <summary>Start and end of each match in <paramref name="text"/>, in order.</summary>
    public List<(int Start, int End)> Matches(string text)
    {
        List<(int, int)> matches = [];
        if (expression is null)
        {
            for (int at = 0; literal.Length > 0 && (at = text.IndexOf(literal, at, StringComparison.Ordinal)) >= 0; at += literal.Length)
                matches.Add((at, at + literal.Length));
            return matches;
        }
        (string folded, int[]? positions) = Fold(text);
        long seen = Interlocked.Add(ref characters, text.Length), start = Stopwatch.GetTimestamp();
        try
        {
            foreach (ValueMatch match in expression.EnumerateMatches(folded))
            {
                if (spent + Stopwatch.GetTimestamp() - start > (Limit + (seen * LimitPerCharacter)).TotalSeconds * Stopwatch.Frequency)
                    throw new RegexMatchTimeoutException();
                int end = match.Index + match.Length;
                matches.Add(positions is null ? (match.Index, end) : (positions[match.Index], positions[end]));
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException($"{where}: the pattern {InputText.Quote(literal)} takes more than {Limit.TotalSeconds} s, "
                + $"the last of them on a text of {text.Length} characters", e);
        }
        Interlocked.Add(ref spent, Stopwatch.GetTimestamp() - start);
        return matches;
    }

    private static (string Folded, int[]? Positions) Fold(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            return (text, null);
        StringBuilder folded = new(text.Length);
        List<int> positions = new(text.Length + 1);
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            positions.Add(at);
            at += rune.Utf16SequenceLength;
            folded.Append(rune.IsBmp ? (char)rune.Value : StandIns.GetValueOrDefault(Rune.GetUnicodeCategory(rune), '\uFDD0'));
        }
        positions.Add(at);
        return (folded.ToString(), [.. positions]);
    }
}
