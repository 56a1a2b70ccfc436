namespace Spectral.Kernels.Ops;

/// <summary>
/// Maps each element of a result to an element of a source, on a device, together with the way back: for each element
/// of the source the elements made of it. It is built once on the host and takes 4 bytes per element, and as much again
/// for its factors and for the way back.
/// </summary>
public sealed class IndexTable : IDisposable
{
    private readonly int _longest;

    /// <summary>Builds a table on the host and copies it to a device.</summary>
    /// <param name="device">Device that gets the table.</param>
    /// <param name="index">For each element of the result the element of the source, or −1 for zero.</param>
    /// <param name="sources">Number of source elements.</param>
    /// <param name="factors">A factor for each element of the result; none: all ones.</param>
    /// <exception cref="ArgumentException">An index is outside the source, or the factors are not as many as the
    /// indices.</exception>
    public IndexTable(Device device, ReadOnlySpan<int> index, int sources, ReadOnlySpan<float> factors = default)
    {
        if (!factors.IsEmpty && factors.Length != index.Length)
            throw new ArgumentException($"{factors.Length} factors for {index.Length} indices", nameof(factors));
        int[] offsets = new int[sources + 1];
        for (int e = 0; e < index.Length; e++)
        {
            if (index[e] < -1 || index[e] >= sources)
                throw new ArgumentException($"index[{e}] is {index[e]}, expected -1 to {sources - 1}", nameof(index));
            if (index[e] >= 0)
                offsets[index[e] + 1]++;
        }
        for (int s = 0; s < sources; s++)
        {
            _longest = Math.Max(_longest, offsets[s + 1]);
            offsets[s + 1] += offsets[s];
        }
        int[] entries = new int[offsets[sources]];
        int[] next = offsets[..sources];
        for (int e = 0; e < index.Length; e++)
        {
            if (index[e] >= 0)
                entries[next[index[e]]++] = e;
        }

        Index = Tensor.From(device, index, index.Length);
        Offsets = Tensor.From(device, offsets, offsets.Length);
        Entries = Tensor.From(device, entries, entries.Length);
        Factors = factors.IsEmpty ? null : Tensor.From(device, factors, factors.Length);
    }

    /// <summary>Number of elements of the result.</summary>
    public long Count => Index.Count;

    /// <summary>Number of elements of the source.</summary>
    public int Sources => Offsets.Dim(0) - 1;

    internal Tensor Index { get; }
    internal Tensor Offsets { get; }
    internal Tensor Entries { get; }
    internal Tensor? Factors { get; }

    /// <summary>Whether a source element has so many uses that one thread would keep the others waiting.</summary>
    internal bool IsLong => _longest > 32;

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        Index.Dispose();
        Offsets.Dispose();
        Entries.Dispose();
        Factors?.Dispose();
    }
}
