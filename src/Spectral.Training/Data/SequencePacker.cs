namespace Spectral.Training.Data;

/// <summary>
/// Joins records to sequences of a given length, none of which is split. The same records, length and seed give the
/// same sequences everywhere.
/// </summary>
/// <remarks>
/// Records are shuffled once, and each window of 8192 of them is packed best-fit decreasing: the longest first, each
/// into the fullest sequence that has room for it. Without a shuffle, a record goes into the sequence of the record
/// before it, if it has room there. Sequences are not packed anew in later epochs, only shuffled.
/// </remarks>
public static class SequencePacker
{
    private const int Window = 8192;

    /// <summary>Returns the indices of the records of each sequence.</summary>
    /// <param name="records">The records.</param>
    /// <param name="length">The largest number of tokens of a sequence.</param>
    /// <param name="seed">The seed of the shuffle; null: records stay in their order.</param>
    /// <exception cref="ArgumentException">A record is longer than a sequence.</exception>
    public static int[][] Pack(IReadOnlyList<EncodedRecord> records, int length, ulong? seed)
    {
        for (int i = 0; i < records.Count; i++)
        {
            if (records[i].Tokens.Length > length)
            {
                throw new ArgumentException(
                    $"record {i} has {records[i].Tokens.Length} tokens, expected at most the {length} of a sequence",
                    nameof(records)
                );
            }
        }
        if (records.Count == 0)
            return [];
        return seed is { } given
            ?
            [
                .. new BatchSampler(records.Count, records.Count, given, shuffle: true)
                    .Next()
                    .Chunk(Window)
                    .SelectMany(window => BestFit(records, window, length)),
            ]
            : InOrder(records, length);
    }

    private static int[][] InOrder(IReadOnlyList<EncodedRecord> records, int length)
    {
        List<int[]> sequences = [];
        (int from, int tokens) = (0, 0);
        for (int i = 0; i < records.Count; i++)
        {
            if (tokens + records[i].Tokens.Length > length)
            {
                sequences.Add([.. Enumerable.Range(from, i - from)]);
                (from, tokens) = (i, 0);
            }
            tokens += records[i].Tokens.Length;
        }
        sequences.Add([.. Enumerable.Range(from, records.Count - from)]);
        return [.. sequences];
    }

    private static IEnumerable<int[]> BestFit(IReadOnlyList<EncodedRecord> records, int[] window, int length)
    {
        List<List<int>> sequences = [];
        SortedSet<(int Room, int Sequence)> open = [];
        // The sort is stable, so that the shuffle decides between records of one length.
        foreach (int record in window.OrderByDescending(record => records[record].Tokens.Length))
        {
            int tokens = records[record].Tokens.Length;
            (int Room, int Sequence) best = open.GetViewBetween((tokens, 0), (length, int.MaxValue)).Min;
            if (best.Room >= tokens && best.Room > 0)
            {
                open.Remove(best);
            }
            else
            {
                best = (length, sequences.Count);
                sequences.Add([]);
            }
            sequences[best.Sequence].Add(record);
            if (best.Room > tokens)
                open.Add((best.Room - tokens, best.Sequence));
        }
        return sequences.Select(sequence => sequence.ToArray());
    }
}
