using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Data;

/// <summary>
/// Determines the order in which records are trained on. Each epoch has every record once, in file order or in a new
/// shuffle. The last batch of an epoch holds the remaining records, as in PyTorch's <c>DataLoader</c>, or is dropped.
/// The order depends only on the seed and the epoch, never on platform or thread, and any position can be set directly.
/// </summary>
/// <remarks>
/// The shuffle is Fisher–Yates from the last element down, driven by SplitMix64 (Steele, Lea and Flood, 2014). Its
/// state starts at SplitMix64's output for seed + 0x9E3779B97F4A7C15·(epoch + 1). Numbers below n are the upper half of
/// the 128-bit product with n, redrawn in the biased zone (Lemire, 2019). Groups by length are those of transformers'
/// sampler: of up to 50 batches and at most a quarter of an epoch.
/// </remarks>
public sealed class BatchSampler
{
    private const int LongestGroup = 50;

    private readonly int[] _order;
    private readonly ulong _seed;
    private readonly bool _shuffle;
    private readonly IReadOnlyList<int>? _lengths;
    private long _shuffledEpoch = -1;

    /// <summary>
    /// Creates a sampler over <paramref name="count"/> records in batches of <paramref name="batch"/>.
    /// </summary>
    /// <param name="count">The number of records.</param>
    /// <param name="batch">
    /// The number of records in a batch; if an optimizer step has several micro-batches, the number in a step.
    /// </param>
    /// <param name="seed">The seed of the shuffles.</param>
    /// <param name="shuffle">Whether to shuffle; otherwise records come in file order.</param>
    /// <param name="dropLast">Whether to drop an epoch's last batch if it is short.</param>
    /// <param name="lengths">
    /// The lengths of the records, to have batches of similar ones: after each shuffle, groups of batches are sorted by
    /// length, longest first, and the longest record of all is the first. Null: the shuffle alone counts.
    /// </param>
    /// <exception cref="InputException">No batch would be left.</exception>
    public BatchSampler(
        int count,
        int batch,
        ulong seed,
        bool shuffle,
        bool dropLast = false,
        IReadOnlyList<int>? lengths = null
    )
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        BatchSize = batch;
        BatchesPerEpoch = BatchesOf(count, batch, dropLast);
        _seed = seed;
        _shuffle = shuffle;
        _lengths = lengths;
        _order = new int[count];
    }

    /// <summary>The number of records in a full batch.</summary>
    public int BatchSize { get; }

    /// <summary>The number of batches in an epoch.</summary>
    public int BatchesPerEpoch { get; }

    /// <summary>
    /// The number of batches returned since the beginning. Set it to continue where another run stopped.
    /// </summary>
    public long Position { get; set; }

    /// <summary>The epoch of the next record, from 0.</summary>
    public long Epoch => Position / BatchesPerEpoch;

    /// <summary>Returns the number of batches in an epoch of <paramref name="count"/> records.</summary>
    /// <exception cref="InputException">There is none, since all records would be dropped.</exception>
    public static int BatchesOf(int count, int batch, bool dropLast)
    {
        int whole = count / batch;
        if (!dropLast)
            return whole + (count % batch > 0 ? 1 : 0);
        return whole > 0
            ? whole
            : throw new InputException(
                $"--drop-last leaves no step of {count} records: expected at least the {batch} records of one step"
            );
    }

    /// <summary>Returns the record indices of the next batch.</summary>
    public int[] Next()
    {
        if (_shuffledEpoch != Epoch)
            Shuffle(Epoch);
        int start = (int)(Position % BatchesPerEpoch) * BatchSize;
        Position++;
        return _order[start..Math.Min(start + BatchSize, _order.Length)];
    }

    private void Shuffle(long epoch)
    {
        for (int i = 0; i < _order.Length; i++)
            _order[i] = i;
        _shuffledEpoch = epoch;
        if (!_shuffle)
            return;
        ulong state = unchecked(_seed + (SplitMix64.Step * (ulong)epoch));
        state = NextRandom(ref state);
        for (int i = _order.Length - 1; i > 0; i--)
        {
            int j = (int)Below(ref state, (ulong)i + 1);
            (_order[i], _order[j]) = (_order[j], _order[i]);
        }
        if (_lengths is not null)
            Group(_lengths);
    }

    private void Group(IReadOnlyList<int> lengths)
    {
        int batches = Math.Clamp((int)(_order.Length / (4L * BatchSize)), 1, LongestGroup);
        int[][] groups =
        [
            .. _order
                .Chunk((int)Math.Min(_order.Length, (long)batches * BatchSize))
                .Select(group => group.OrderByDescending(record => lengths[record]).ToArray()),
        ];
        // First, so that memory that does not suffice shows at once.
        int[] longest = groups.MaxBy(group => lengths[group[0]])!;
        (groups[0][0], longest[0]) = (longest[0], groups[0][0]);
        int at = 0;
        foreach (int record in groups.SelectMany(group => group))
            _order[at++] = record;
    }

    private static ulong NextRandom(ref ulong state) => SplitMix64.Mix(unchecked(state += SplitMix64.Step));

    private static ulong Below(ref ulong state, ulong bound)
    {
        ulong biased = unchecked(0 - bound) % bound;
        ulong high;
        ulong low;
        do high = Math.BigMul(NextRandom(ref state), bound, out low);
        while (low < biased);
        return high;
    }
}
