namespace Spectral.Training.Tokenization.Patterns;

/// <summary>An immutable set of Unicode code points, stored as sorted ranges.</summary>
internal sealed class CodeSet : IEquatable<CodeSet>
{
    /// <summary>One more than the highest code point.</summary>
    public const int Limit = 0x110000;

    public static readonly CodeSet Empty = new([]);

    public static readonly CodeSet All = new([0, Limit]);

    // The code points where membership changes: the first one inside, the first one outside again, and so on.
    private readonly int[] _changes;

    // Most text is ASCII, so each ASCII character has a bit.
    private readonly UInt128 _ascii;

    private CodeSet(int[] changes)
    {
        _changes = changes;
        for (int code = 0; code < 128; code++)
            _ascii |= Search(code) ? UInt128.One << code : 0;
    }

    /// <summary>The ranges in ascending order, with both ends included.</summary>
    public IEnumerable<(int First, int Last)> Ranges
    {
        get
        {
            for (int i = 0; i < _changes.Length; i += 2)
                yield return (_changes[i], _changes[i + 1] - 1);
        }
    }

    /// <summary>Returns all code points from one to another, both included.</summary>
    public static CodeSet Range(int first, int last) => new([first, last + 1]);

    public static CodeSet Of(params ReadOnlySpan<int> codes)
    {
        List<int> changes = [];
        foreach (int code in codes.ToArray().Distinct().Order())
        {
            if (changes.Count > 0 && changes[^1] == code)
                changes[^1]++;
            else
                changes.AddRange([code, code + 1]);
        }
        return new CodeSet([.. changes]);
    }

    /// <summary>Creates a set from ascending ranges that do not touch.</summary>
    public static CodeSet FromSorted(IEnumerable<(int First, int Last)> ranges) =>
        new([.. ranges.SelectMany(range => (int[])[range.First, range.Last + 1])]);

    public bool Contains(int code) => code < 128 ? ((_ascii >> code) & 1) != 0 : Search(code);

    public bool Equals(CodeSet? other) => other is not null && _changes.AsSpan().SequenceEqual(other._changes);

    public override bool Equals(object? obj) => Equals(obj as CodeSet);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (int change in _changes)
            hash.Add(change);
        return hash.ToHashCode();
    }

    public CodeSet Union(CodeSet other) => Combine(other, (left, right) => left || right);

    public CodeSet Intersect(CodeSet other) => Combine(other, (left, right) => left && right);

    public CodeSet Except(CodeSet other) => Combine(other, (left, right) => left && !right);

    public CodeSet Complement() => All.Except(this);

    private bool Search(int code)
    {
        int at = Array.BinarySearch(_changes, code);
        return (at >= 0 ? at : ~at - 1) % 2 == 0;
    }

    private CodeSet Combine(CodeSet other, Func<bool, bool, bool> rule)
    {
        List<int> result = [];
        bool inside = false;
        for (int i = 0, j = 0; i < _changes.Length || j < other._changes.Length; )
        {
            int left = i < _changes.Length ? _changes[i] : int.MaxValue;
            int right = j < other._changes.Length ? other._changes[j] : int.MaxValue;
            int at = Math.Min(left, right);
            i += left == at ? 1 : 0;
            j += right == at ? 1 : 0;
            if (rule(i % 2 == 1, j % 2 == 1) == inside)
                continue;
            inside = !inside;
            result.Add(at);
        }
        return new CodeSet([.. result]);
    }
}
