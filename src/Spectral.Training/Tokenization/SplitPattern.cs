using System.Diagnostics;
using System.Text.RegularExpressions;
using Spectral.Training.IO;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// A pattern of a tokenizer file. Expressions have Oniguruma's syntax, as in Hugging Face's tokenizers, and match whole
/// code points. They are translated for .NET, or refused with the name of the construct that cannot be translated.
/// </summary>
internal sealed class SplitPattern
{
    private const int LongestExpression = 10_000;

    // Compiling takes as long as matching a few hundred thousand characters without it, which a prompt never reaches
    // but data do. The limit on the length is far above real expressions, and compiling any expression up to it is
    // fast.
    private const int CharactersBeforeCompiling = 1 << 18;
    private const int LongestCompiled = 1000;

    // A pattern in a file may take exponential time. This limits one match, and together with the limit per character,
    // hundreds of times the real need, all matches.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LimitPerCharacter = TimeSpan.FromMicroseconds(50);

    private readonly Regex? _expression;
    private readonly Lazy<Regex>? _compiled;
    private readonly TranslatedPattern? _translated;
    private readonly string _source;
    private readonly string _where;
    private long _spent;
    private long _characters;

    private SplitPattern(TranslatedPattern? translated, string source, string where)
    {
        _translated = translated;
        if (translated is { Pattern: var pattern })
        {
            _expression = new Regex(pattern, RegexOptions.CultureInvariant, Limit);
            if (source.Length <= LongestCompiled)
            {
                const RegexOptions options = RegexOptions.CultureInvariant | RegexOptions.Compiled;
                _compiled = new Lazy<Regex>(() => new Regex(pattern, options, Limit));
            }
        }
        _source = source;
        _where = where;
    }

    /// <summary>The fixed text of the pattern; null for an expression.</summary>
    public string? Literal => _expression is null ? _source : null;

    /// <summary>Whether a match may be empty.</summary>
    public bool MayBeEmpty => _translated is { MayBeEmpty: true };

    /// <summary>
    /// Creates a pattern from a regular expression; <paramref name="where"/> names file and key in errors.
    /// </summary>
    /// <exception cref="InputException">
    /// The pattern is malformed, or has a construct that is not translated.
    /// </exception>
    public static SplitPattern FromExpression(string pattern, string where)
    {
        try
        {
            if (pattern.Length > LongestExpression)
                throw new PatternException($"more than {LongestExpression} characters");
            return new SplitPattern(PatternTranslator.Translate(pattern), pattern, where);
        }
        catch (Exception e) when (e is PatternException or ArgumentException or InsufficientExecutionStackException)
        {
            throw new InputException(
                $"{where}: the pattern {InputText.Quote(pattern)} is not supported: " + InputText.Quote(e.Message),
                e
            );
        }
    }

    /// <summary>Creates a pattern from a fixed text. The empty one matches between all characters.</summary>
    public static SplitPattern FromLiteral(string text, string where) =>
        text.Length == 0 ? FromExpression("", where) : new SplitPattern(null, text, where);

    /// <summary>Reads a pattern of the form {"Regex": …} or {"String": …}.</summary>
    public static SplitPattern Read(JsonFields owner, string key, string where)
    {
        JsonFields fields = owner.Object(key) ?? throw owner.Wrong(key, "an object with Regex or String");
        if (fields.Text("Regex") is { } pattern)
            return FromExpression(pattern, where);
        string literal = fields.Text("String") ?? throw fields.Wrong("Regex", "a string, or a String beside it");
        return FromLiteral(literal, where);
    }

    /// <summary>
    /// Returns start and end of each match in <paramref name="text"/>, in order. A match may be empty, but not directly
    /// after the previous one.
    /// </summary>
    /// <exception cref="InputException">The pattern takes too much time.</exception>
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        List<(int Start, int End)> matches = [];
        if (_expression is null)
        {
            for (int at = 0; text[at..].IndexOf(_source) is >= 0 and var distance; )
            {
                int found = at + distance;
                at = found + _source.Length;
                matches.Add((found, at));
            }
            return matches;
        }
        ReadOnlySpan<char> folded = _translated!.StandIns.Fold(text, out int[]? positions);
        long seen = Interlocked.Add(ref _characters, text.Length);
        Regex fastest = seen >= CharactersBeforeCompiling && _compiled is not null ? _compiled.Value : _expression;
        long start = Stopwatch.GetTimestamp();
        double allowed = (Limit + (seen * LimitPerCharacter)).TotalSeconds * Stopwatch.Frequency;
        int before = -1;
        try
        {
            foreach (ValueMatch match in fastest.EnumerateMatches(folded))
            {
                if (_spent + Stopwatch.GetTimestamp() - start > allowed)
                    throw new RegexMatchTimeoutException();
                int end = match.Index + match.Length;
                if (match.Length == 0 && end == before)
                    continue;
                before = end;
                matches.Add(positions is null ? (match.Index, end) : (positions[match.Index], positions[end]));
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException(
                $"{_where}: the pattern {InputText.Quote(_source)} takes more than "
                    + $"{Limit.TotalSeconds} s, the last of them on a text of {text.Length} characters",
                e
            );
        }
        Interlocked.Add(ref _spent, Stopwatch.GetTimestamp() - start);
        return matches;
    }
}
