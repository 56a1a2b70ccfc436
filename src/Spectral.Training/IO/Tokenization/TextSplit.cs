using System.Text;

namespace Spectral.Training;

/// <summary>How a pre-tokenizer cuts text at matches: what is a match, and which piece each match becomes part of.</summary>
internal static class TextSplit
{
    /// <summary>A stretch of text, possibly empty, and whether it is a match.</summary>
    public readonly record struct Stretch(int Start, int End, bool IsMatch);

    /// <summary>Reads a behavior: a function from stretches to the pieces that remain of them.</summary>
    public static Func<List<Stretch>, IEnumerable<(int Start, int End)>> ReadBehavior(JsonFields fields, string? absent = null)
        => Behavior(fields.Text("behavior") ?? absent)
            ?? throw fields.Wrong("behavior", "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");

    /// <summary>Each match by itself.</summary>
    public static IEnumerable<(int Start, int End)> Isolated(List<Stretch> stretches)
        => stretches.Select(stretch => (stretch.Start, stretch.End));

    /// <summary>What is between matches.</summary>
    public static IEnumerable<(int Start, int End)> Removed(List<Stretch> stretches)
        => Isolated([.. stretches.Where(stretch => !stretch.IsMatch)]);

    /// <summary>Matches next to each other as one piece.</summary>
    public static IEnumerable<(int Start, int End)> Contiguous(List<Stretch> stretches)
        => Join(stretches, (before, stretch) => before.IsMatch == stretch.IsMatch);

    /// <summary>A match with what precedes it.</summary>
    public static IEnumerable<(int Start, int End)> MergedWithPrevious(List<Stretch> stretches)
        => Join(stretches, (before, stretch) => stretch.IsMatch && !before.IsMatch);

    /// <summary>A match with what follows it.</summary>
    public static IEnumerable<(int Start, int End)> MergedWithNext(List<Stretch> stretches)
        => Join(stretches, (before, stretch) => before.IsMatch && !stretch.IsMatch);

    /// <summary>The matches of a pattern and what lies between them; the other way round if inverted.</summary>
    public static List<Stretch> Stretches(string text, SplitPattern pattern, bool invert = false)
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
    public static List<Stretch> Stretches(string text, CodeSet set)
    {
        List<Stretch> stretches = [];
        int done = 0, at = 0;
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

    /// <summary>The pieces of a text that are not empty.</summary>
    public static IEnumerable<TextPiece> Cut(TextPiece piece, IEnumerable<(int Start, int End)> ranges)
    {
        foreach ((int start, int end) in ranges)
        {
            if (end > start)
                yield return piece with { Text = piece.Text[start..end], AtStart = piece.AtStart && start == 0 };
        }
    }

    private static Func<List<Stretch>, IEnumerable<(int Start, int End)>>? Behavior(string? name)
        => name?.ToUpperInvariant().Replace("_", "", StringComparison.Ordinal) switch
        {
            "ISOLATED" => Isolated,
            "REMOVED" => Removed,
            "CONTIGUOUS" => Contiguous,
            "MERGEDWITHPREVIOUS" => MergedWithPrevious,
            "MERGEDWITHNEXT" => MergedWithNext,
            _ => null,
        };

    // Joins a stretch to the one before it where the rule says so; whether the next is joined depends on the last one alone.
    private static IEnumerable<(int Start, int End)> Join(List<Stretch> stretches, Func<Stretch, Stretch, bool> joins)
    {
        for (int i = 0; i < stretches.Count;)
        {
            int start = stretches[i].Start;
            do
                i++;
            while (i < stretches.Count && joins(stretches[i - 1], stretches[i]));
            yield return (start, stretches[i - 1].End);
        }
    }
}
