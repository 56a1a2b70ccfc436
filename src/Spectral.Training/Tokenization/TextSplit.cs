using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// How a pre-tokenizer cuts text at matches: which piece each match becomes part of, or whether it goes.
/// </summary>
/// <param name="joins">
/// Whether a stretch becomes one piece with the one before it: is that a match, and is this one?
/// </param>
/// <param name="dropsMatches">Whether only what is between matches remains.</param>
internal sealed class TextSplit(Func<bool, bool, bool> joins, bool dropsMatches = false)
{
    /// <summary>Each match by itself.</summary>
    public static readonly TextSplit Isolated = new((_, _) => false);

    /// <summary>What is between matches.</summary>
    public static readonly TextSplit Removed = new((_, _) => false, dropsMatches: true);

    /// <summary>Matches next to each other as one piece.</summary>
    public static readonly TextSplit Contiguous = new((before, match) => before == match);

    /// <summary>A match with what precedes it.</summary>
    public static readonly TextSplit MergedWithPrevious = new((before, match) => match && !before);

    /// <summary>A match with what follows it.</summary>
    public static readonly TextSplit MergedWithNext = new((before, match) => before && !match);

    /// <summary>A stretch of text, possibly empty, and whether it is a match.</summary>
    public readonly record struct Stretch(int Start, int End, bool IsMatch);

    /// <summary>Reads a behavior.</summary>
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

    /// <summary>The matches of a pattern and what lies between them; the other way round if inverted.</summary>
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

    /// <summary>Each character of a set as a match.</summary>
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

    /// <summary>Hands on the pieces that stretches of a text make, but none that is empty.</summary>
    public void Cut(ReadOnlySpan<char> text, bool atStart, List<Stretch> stretches, PieceStep next, EncodingRun run)
    {
        for (int i = 0; i < stretches.Count; i++)
        {
            (int start, int end, bool isMatch) = stretches[i];
            // Whether the next is joined depends on the last one alone.
            for (bool last = isMatch; i + 1 < stretches.Count && joins(last, stretches[i + 1].IsMatch); i++)
                (_, end, last) = stretches[i + 1];
            if (end > start && !(dropsMatches && isMatch))
                next(text[start..end], atStart && start == 0, run);
        }
    }
}
