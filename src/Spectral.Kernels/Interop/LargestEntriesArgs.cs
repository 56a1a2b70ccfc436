namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>largest_entries_histogram</c>: how often each digit occurs in the magnitudes of some values.
/// </summary>
public struct LargestEntriesHistogramArgs
{
    /// <summary>The kernel <c>largest_entries_histogram</c>; a block per 65,536 values.</summary>
    public static readonly KernelEntry<LargestEntriesHistogramArgs> Kernel = new(
        "largest_entries",
        Launch.FlatThreads,
        "largest_entries_histogram"
    )
    {
        StaticSharedBytes = 8192,
    };

    /// <summary>Device address of the values, [Count] F32.</summary>
    public ulong X;

    /// <summary>Device address of the bins, [2^Bits] I32; added to.</summary>
    public ulong Bins;

    /// <summary>Number of values to choose from.</summary>
    public int Count;

    /// <summary>The bits above the digit that the magnitude of a value has to have.</summary>
    public int Prefix;

    /// <summary>Lowest bit of the digit.</summary>
    public int Shift;

    /// <summary>Bits of the digit, at most 11.</summary>
    public int Bits;
}

/// <summary>
/// Arguments of the kernels in <c>largest_entries.cu</c> that count and write the places of the largest entries.
/// </summary>
public struct LargestEntriesArgs
{
    /// <summary>The kernel <c>largest_entries_count</c>; one thread per 256 values.</summary>
    public static readonly KernelEntry<LargestEntriesArgs> Counting = new(
        "largest_entries",
        Launch.FlatThreads,
        "largest_entries_count"
    );

    /// <summary>The kernel <c>largest_entries_write</c>; one thread per 256 values.</summary>
    public static readonly KernelEntry<LargestEntriesArgs> Writing = new(
        "largest_entries",
        Launch.FlatThreads,
        "largest_entries_write"
    );

    /// <summary>Device address of the values, [Count] F32.</summary>
    public ulong X;

    /// <summary>
    /// Device address of one I32 per 256 values. Written by the count: how many are above the threshold. Read by the
    /// write: where its places begin in the index.
    /// </summary>
    public ulong Above;

    /// <summary>
    /// Device address of one I32 per 256 values. Written by the count: how many are at the threshold. Read by the
    /// write: how many of these are taken.
    /// </summary>
    public ulong Equal;

    /// <summary>Device address of the places, I32; written. 0 for the count.</summary>
    public ulong Index;

    /// <summary>Number of values to choose from.</summary>
    public int Count;

    /// <summary>Bits of the magnitude of the last entry that is taken.</summary>
    public int Threshold;
}
