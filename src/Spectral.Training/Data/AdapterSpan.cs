namespace Spectral.Training.Data;

/// <summary>Names successive positions of a batch that are for one of several adapters.</summary>
/// <param name="Adapter">The name of the adapter.</param>
/// <param name="First">The first position in Rows · Length.</param>
/// <param name="Count">The number of positions.</param>
internal readonly record struct AdapterSpan(string Adapter, int First, int Count)
{
    /// <summary>Appends positions to spans in order; those right behind ones of the same adapter join them.</summary>
    /// <param name="spans">The spans so far.</param>
    /// <param name="adapter">The name of the adapter; null: the base, of which there is no span.</param>
    /// <param name="first">The first position.</param>
    /// <param name="count">The number of positions.</param>
    public static void Add(List<AdapterSpan> spans, string? adapter, int first, int count)
    {
        if (adapter is null)
            return;
        if (spans is [.., var last] && last.Adapter == adapter && last.First + last.Count == first)
            spans[^1] = last with { Count = last.Count + count };
        else
            spans.Add(new AdapterSpan(adapter, first, count));
    }
}
