using System.Text;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Maps each kind of character beyond U+FFFF to one UTF-16 unit, a surrogate. Two characters are of the same kind if
/// every set of an expression contains both or neither.
/// </summary>
internal sealed class AstralStandIns
{
    private const char FirstUnit = '\uD800';
    private const char LastUnit = '\uDFFF';
    private const int FirstCode = 0x10000;

    // The first code points of the ranges, the kind of each range, and for each kind one of its code points.
    private readonly int[] _starts;
    private readonly int[] _kinds;
    private readonly List<int> _samples;

    private AstralStandIns(int[] starts, int[] kinds, List<int> samples)
    {
        _starts = starts;
        _kinds = kinds;
        _samples = samples;
    }

    /// <summary>Determines the kinds that some sets distinguish.</summary>
    /// <exception cref="PatternException">There are more kinds than surrogates.</exception>
    public static AstralStandIns For(IReadOnlyCollection<CodeSet> sets)
    {
        CodeSet[] distinct = [.. sets.Distinct()];
        int[] starts =
        [
            .. distinct
                .SelectMany(set => set.Ranges)
                .SelectMany(range => (int[])[range.First, range.Last + 1])
                .Where(code => code is > FirstCode and < CodeSet.Limit)
                .Append(FirstCode)
                .Distinct()
                .Order(),
        ];
        int[] kinds = new int[starts.Length];
        List<int> samples = [];
        Dictionary<string, int> known = [];
        for (int i = 0; i < starts.Length; i++)
        {
            string members = string.Concat(distinct.Select(set => set.Contains(starts[i]) ? '1' : '0'));
            if (known.TryAdd(members, samples.Count))
                samples.Add(starts[i]);
            kinds[i] = known[members];
        }
        return samples.Count <= LastUnit - FirstUnit + 1
            ? new AstralStandIns(starts, kinds, samples)
            : throw new PatternException("too many kinds of characters beyond U+FFFF");
    }

    /// <summary>
    /// Returns the UTF-16 units of a set, in order. Unused surrogates are treated like the last used one.
    /// </summary>
    public IEnumerable<(int First, int Last)> Units(CodeSet set)
    {
        CodeSet units = set.Intersect(CodeSet.Range(0, char.MaxValue)).Except(CodeSet.Range(FirstUnit, LastUnit));
        bool inside = false;
        for (int kind = 0; kind < _samples.Count; kind++)
        {
            inside = set.Contains(_samples[kind]);
            if (inside)
                units = units.Union(CodeSet.Range(FirstUnit + kind, FirstUnit + kind));
        }
        if (inside)
            units = units.Union(CodeSet.Range(FirstUnit + _samples.Count - 1, LastUnit));
        return units.Ranges;
    }

    /// <summary>
    /// Returns the text with one unit for each character; the text itself if it has nothing beyond U+FFFF.
    /// </summary>
    /// <param name="text">A text without unpaired surrogates.</param>
    /// <param name="positions">
    /// Receives the position of each unit, and of the end, in the text; null if the result is the text itself.
    /// </param>
    public ReadOnlySpan<char> Fold(ReadOnlySpan<char> text, out int[]? positions)
    {
        positions = null;
        if (!text.ContainsAnyInRange(FirstUnit, LastUnit))
            return text;
        StringBuilder folded = new(text.Length);
        List<int> places = new(text.Length + 1);
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            places.Add(at);
            at += rune.Utf16SequenceLength;
            folded.Append(rune.IsBmp ? (char)rune.Value : UnitOf(rune.Value));
        }
        places.Add(at);
        positions = [.. places];
        return folded.ToString();
    }

    private char UnitOf(int code)
    {
        int range = Array.BinarySearch(_starts, code);
        return (char)(FirstUnit + _kinds[range >= 0 ? range : ~range - 1]);
    }
}
