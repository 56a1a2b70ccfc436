namespace Spectral.Training.Merging;

/// <summary>
/// Finds the k-th largest of numbers that are read twice, in any order, for one or several k: the bits of numbers sort
/// as they do, and are counted by their upper half, then by their lower half within the bin that holds the k-th.
/// </summary>
/// <param name="ofMagnitudes">Whether the numbers' magnitudes count, and not their signs.</param>
/// <param name="ranks">Which to find: 1 for the largest, at most the number of values.</param>
internal sealed class OrderStatistics(bool ofMagnitudes, params IReadOnlyList<long> ranks)
{
    private const int HalfBits = 16;

    private readonly long[] _upper = new long[1 << HalfBits];
    private readonly long[][] _lower = [.. ranks.Select(_ => new long[1 << HalfBits])];
    private readonly uint[] _bins = new uint[ranks.Count];
    private readonly long[] _within = new long[ranks.Count];

    /// <summary>Counts numbers in the first reading.</summary>
    public void CountFirst(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
            _upper[Key(value) >> HalfBits]++;
    }

    /// <summary>Ends the first reading.</summary>
    public void EndFirst()
    {
        for (int i = 0; i < ranks.Count; i++)
            (_bins[i], _within[i]) = Find(_upper, ranks[i]);
    }

    /// <summary>Counts the same numbers in the second reading.</summary>
    public void CountSecond(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
        {
            uint key = Key(value);
            for (int i = 0; i < _bins.Length; i++)
            {
                if (key >> HalfBits == _bins[i])
                    _lower[i][key & ((1 << HalfBits) - 1)]++;
            }
        }
    }

    /// <summary>Returns a result after the second reading.</summary>
    /// <param name="index">The index of its rank.</param>
    public Ranked Result(int index = 0)
    {
        (uint low, long within) = Find(_lower[index], _within[index]);
        uint key = (_bins[index] << HalfBits) | low;
        uint bits = (key & 0x80000000) == 0 ? ~key : key & 0x7FFFFFFF;
        return new Ranked(BitConverter.UInt32BitsToSingle(bits), within, _lower[index][low]);
    }

    // Bits that sort as numbers do. Both zeros have the same.
    private uint Key(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(ofMagnitudes ? MathF.Abs(value) : value + 0f);
        return (bits & 0x80000000) == 0 ? bits | 0x80000000 : ~bits;
    }

    /// <summary>Returns the bin from the top in which the k-th falls, and its place among those in it.</summary>
    private static (uint Bin, long Within) Find(long[] counts, long k)
    {
        int bin = counts.Length - 1;
        for (; counts[bin] < k; bin--)
            k -= counts[bin];
        return ((uint)bin, k);
    }

    /// <summary>The k-th largest number.</summary>
    /// <param name="Value">The number.</param>
    /// <param name="Within">How many of those that equal it are among the k largest.</param>
    /// <param name="Equal">How many equal it.</param>
    internal readonly record struct Ranked(float Value, long Within, long Equal);
}
