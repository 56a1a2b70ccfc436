using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The way in which a pre-tokenizer splits text at matches: which piece each match joins, or whether it is removed.
/// </summary>
/// <param name="joins">
/// Decides whether a stretch joins the piece of the one before it, from whether the previous and the present stretch
/// are matches.
/// </param>
/// <param name="dropsMatches">Whether matches are removed.</param>
internal sealed class TextSplit(Func<bool, bool, bool> joins, bool dropsMatches = false)
{
    /// <summary>Makes each match a piece of its own.</summary>
    public static readonly TextSplit Isolated = new((_, _) => false);

    /// <summary>Keeps only the text between matches.</summary>
    public static readonly TextSplit Removed = new((_, _) => false, dropsMatches: true);

    /// <summary>Joins adjacent matches to one piece.</summary>
    public static readonly TextSplit Contiguous = new((before, match) => before == match);

    /// <summary>Joins a match to the text before it.</summary>
    public static readonly TextSplit MergedWithPrevious = new((before, match) => match && !before);

    /// <summary>Joins a match to the text after it.</summary>
    public static readonly TextSplit MergedWithNext = new((before, match) => before && !match);

    /// <summary>A stretch of text, possibly empty, and whether it is a match.</summary>
    public readonly record struct Stretch(int Start, int End, bool IsMatch);

    /// <summary>Reads the behavior of a step of a pre-tokenizer.</summary>
    public static TextSplit ReadBehavior(JsonFields fields, string? absent = null) =>
        (fields.Text("behavior") ?? absent)?.ToUpperInvariant().Replace("_", "", StringComparison.Ordinal) switch
        {
            "ISOLATED" => Isolated,
            "REMOVED" => Removed,
            "CONTIGUOUS" => Contiguous,
            "MERGEDWITHPREVIOUS" => MergedWithPrevious,
            "MERGEDWITHNEXT" => MergedWithNext,
            _ => throw fields.Wrong("behavior", "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext"),
        };

    /// <summary>Returns the matches of a pattern and the text between them; the other way round if inverted.</summary>
    public static List<Stretch> Stretches(ReadOnlySpan<char> text, SplitPattern pattern, bool invert = false)
    {
        List<Stretch> stretches = [];
        int at = 0;
        foreach ((int start, int end) in pattern.Matches(text))
        {
            if (start > at)
                stretches.Add(new Stretch(at, start, invert));
            stretches.Add(new Stretch(start, end, !invert));
            at = end;
        }
        if (at < text.Length)
            stretches.Add(new Stretch(at, text.Length, invert));
        return stretches;
    }

    /// <summary>Returns each character of a set as a match, and the text between them.</summary>
    public static List<Stretch> Stretches(ReadOnlySpan<char> text, CodeSet set)
    {
        List<Stretch> stretches = [];
        int done = 0;
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            int start = at;
            at += rune.Utf16SequenceLength;
            if (!set.Contains(rune.Value))
                continue;
            if (start > done)
                stretches.Add(new Stretch(done, start, IsMatch: false));
            stretches.Add(new Stretch(start, at, IsMatch: true));
            done = at;
        }
        if (done < text.Length)
            stretches.Add(new Stretch(done, text.Length, IsMatch: false));
        return stretches;
    }

    /// <summary>Passes the non-empty pieces that stretches of a text form to the next step.</summary>
    public void Cut(ReadOnlySpan<char> text, bool atStart, List<Stretch> stretches, PieceStep next, EncodingRun run)
    {
        for (int i = 0; i < stretches.Count; i++)
        {
            (int start, int end, bool isMatch) = stretches[i];
            // Whether the next stretch joins depends only on the last one.
            for (bool last = isMatch; i + 1 < stretches.Count && joins(last, stretches[i + 1].IsMatch); i++)
                (_, end, last) = stretches[i + 1];
            if (end > start && !(dropsMatches && isMatch))
                next(text[start..end], atStart && start == 0, run);
        }
    }
}
