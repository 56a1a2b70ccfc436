using System.Text;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// One UTF-16 unit, a surrogate, for each kind of character beyond U+FFFF: two characters are of one kind when every
/// set of an expression has both or neither.
/// </summary>
internal sealed class AstralStandIns
{
    private const char FirstUnit = '\uD800';
    private const char LastUnit = '\uDFFF';
    private const int FirstCode = 0x10000;

    // Ranges of code points by their first, the kind of each, and for each kind a code point of it.
    private readonly int[] _starts;
    private readonly int[] _kinds;
    private readonly List<int> _samples;

    private AstralStandIns(int[] starts, int[] kinds, List<int> samples)
    {
        _starts = starts;
        _kinds = kinds;
        _samples = samples;
    }

    /// <summary>The kinds that some sets tell apart.</summary>
    /// <exception cref="PatternException">There are more than surrogates.</exception>
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
    /// The UTF-16 units of a set, in order. Surrogates that stand for nothing go with what comes before them.
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
    /// The text with one unit for each character; the text itself when it has nothing beyond U+FFFF.
    /// </summary>
    /// <param name="text">Whole characters.</param>
    /// <param name="positions">Where each unit, and the end, is in the text; null when that is the text itself.</param>
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
