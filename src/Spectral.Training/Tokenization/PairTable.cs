namespace Spectral.Training.Tokenization;

/// <summary>
/// Maps pairs of symbols to the merge that joins them. Open addressing, because a lookup is one cache miss where a
/// dictionary's is two, and long pieces are nothing but lookups.
/// </summary>
internal sealed class PairTable
{
    /// <summary>The value of a pair that no merge joins; it comes after every merge.</summary>
    public const ulong None = ulong.MaxValue;

    private const ulong Unused = ulong.MaxValue;

    // Other hashes in each process: a file cannot be made so that its pairs collide.
    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64();

    private Entry[] _entries = Empty(16);
    private int _count;

    /// <summary>A merge as one number: ordered by rank.</summary>
    public static ulong Merge(int rank, int id) => ((ulong)(uint)rank << 32) | (uint)id;

    /// <summary>The rank of a merge.</summary>
    public static uint Rank(ulong merge) => (uint)(merge >> 32);

    /// <summary>The symbol that a merge makes.</summary>
    public static int Id(ulong merge) => (int)merge;

    /// <summary>The merge that joins two symbols, or <see cref="None"/>.</summary>
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

    /// <summary>Sets the merge of two symbols; of two for one pair the later holds.</summary>
    public void Set(int left, int right, ulong merge)
    {
        // Above two thirds, searches for what is not there become long.
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
