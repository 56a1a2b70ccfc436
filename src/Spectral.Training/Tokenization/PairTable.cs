namespace Spectral.Training.Tokenization;

/// <summary>
/// Maps pairs of symbols to the merge that joins them. It uses open addressing, because a lookup then costs one cache
/// miss instead of two as in a dictionary, and merging long pieces consists mainly of lookups.
/// </summary>
internal sealed class PairTable
{
    /// <summary>The value for a pair that no merge joins. It is larger than every merge.</summary>
    public const ulong None = ulong.MaxValue;

    private const ulong Unused = ulong.MaxValue;

    // Hashes differ in each process, so that no file can be made whose pairs collide.
    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64();

    private Entry[] _entries = Empty(16);
    private int _count;

    /// <summary>Returns a merge as one number, ordered by rank.</summary>
    public static ulong Merge(int rank, int id) => ((ulong)(uint)rank << 32) | (uint)id;

    /// <summary>Returns the rank of a merge.</summary>
    public static uint Rank(ulong merge) => (uint)(merge >> 32);

    /// <summary>Returns the symbol that a merge produces.</summary>
    public static int Id(ulong merge) => (int)merge;

    /// <summary>Returns the merge that joins two symbols, or <see cref="None"/>.</summary>
    public ulong Find(int left, int right)
    {
        ulong pair = Pair(left, right);
        Entry[] table = _entries;
        for (int at = Home(pair, table.Length); ; at = (at + 1) & (table.Length - 1))
        {
            Entry entry = table[at];
            if (entry.Pair == pair)
                return entry.Merge;
            if (entry.Pair == Unused)
                return None;
        }
    }

    /// <summary>Sets the merge of two symbols. If a pair has two, the later one counts.</summary>
    public void Set(int left, int right, ulong merge)
    {
        // Above two thirds, searches for missing pairs become long.
        if (_count >= _entries.Length / 3 * 2)
            Grow();
        ref Entry entry = ref Place(_entries, Pair(left, right));
        if (entry.Pair == Unused)
            _count++;
        entry = new Entry(Pair(left, right), merge);
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private static int Home(ulong pair, int length)
    {
        ulong hash = (pair ^ Seed) * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
        return (int)(hash >> 33) & (length - 1);
    }

    private static ref Entry Place(Entry[] table, ulong pair)
    {
        int at = Home(pair, table.Length);
        while (table[at].Pair != pair && table[at].Pair != Unused)
            at = (at + 1) & (table.Length - 1);
        return ref table[at];
    }

    private static Entry[] Empty(int length)
    {
        var table = new Entry[length];
        Array.Fill(table, new Entry(Unused, None));
        return table;
    }

    private void Grow()
    {
        Entry[] larger = Empty(checked(_entries.Length * 2));
        foreach (Entry entry in _entries)
        {
            if (entry.Pair != Unused)
                Place(larger, entry.Pair) = entry;
        }
        _entries = larger;
    }

    private readonly record struct Entry(ulong Pair, ulong Merge);
}
