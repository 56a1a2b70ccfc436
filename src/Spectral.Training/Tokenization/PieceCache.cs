namespace Spectral.Training.Tokenization;

/// <summary>
/// Remembers the ids of pieces, since most pieces of a text are words that came before. A piece has one slot, and a
/// later one with the same slot takes its place: what is common stays or comes back, and nothing has to be counted.
/// Readers and writers take no lock: entries never change, and a slot is set by one write. At most 2¹⁶ entries of 32
/// characters and 32 ids, which is 18 MB.
/// </summary>
internal sealed class PieceCache
{
    private const int Slots = 1 << 16;
    private const int MostIds = 32;

    /// <summary>In characters; longer pieces are rare and seldom come again.</summary>
    public const int LongestPiece = 32;

    private readonly Entry?[] _slots = new Entry?[Slots];

    /// <summary>Appends the ids of a piece if they are known.</summary>
    public bool TryAppend(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (Volatile.Read(ref Slot(piece)) is not { } entry || !piece.SequenceEqual(entry.Piece))
            return false;
        if (entry.Ids.Length == 1)
            ids.Add(entry.Ids[0]);
        else
            ids.AddRange(entry.Ids);
        return true;
    }

    /// <summary>Remembers the ids of a piece, unless they are too many.</summary>
    public void Set(ReadOnlySpan<char> piece, ReadOnlySpan<int> ids)
    {
        if (ids.Length <= MostIds)
            Volatile.Write(ref Slot(piece), new Entry(piece.ToString(), ids.ToArray()));
    }

    private ref Entry? Slot(ReadOnlySpan<char> piece) => ref _slots[string.GetHashCode(piece) & (Slots - 1)];

    private sealed class Entry(string piece, int[] ids)
    {
        public string Piece { get; } = piece;

        public int[] Ids { get; } = ids;
    }
}
