namespace Spectral.Training.Tokenization;

/// <summary>
/// Caches the ids of pieces, since most pieces of a text are words that occurred before. A piece has one slot, and a
/// later piece with the same slot replaces it: common pieces stay or come back, and nothing has to be counted. There
/// are no locks: entries never change, and a slot is set by one write. There are at most 2¹⁶ entries of 32 characters
/// and 32 ids, 18 MB in all.
/// </summary>
internal sealed class PieceCache
{
    private const int Slots = 1 << 16;
    private const int MostIds = 32;

    /// <summary>
    /// The largest number of characters in a cached piece. Longer pieces are rare and seldom repeated.
    /// </summary>
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

    /// <summary>Caches the ids of a piece, unless there are too many.</summary>
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
