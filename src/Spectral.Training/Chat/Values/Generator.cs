namespace Spectral.Training.Chat.Values;

/// <summary>Python's generator: items that are computed as they are asked for, once.</summary>
internal sealed class Generator(IEnumerable<object?> items)
{
    private readonly IEnumerator<object?> _items = items.GetEnumerator();

    /// <summary>Returns the items that nobody has taken yet.</summary>
    public IEnumerable<object?> Rest()
    {
        while (_items.MoveNext())
            yield return _items.Current;
    }
}
