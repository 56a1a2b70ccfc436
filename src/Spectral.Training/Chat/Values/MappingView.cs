namespace Spectral.Training.Chat.Values;

/// <summary>What keys(), values() or items() of a dict returns.</summary>
internal sealed class MappingView(Mapping mapping, MappingPart part)
{
    /// <summary>The number of items.</summary>
    public int Count => mapping.Count;

    /// <summary>Python's name of the type.</summary>
    public string TypeName =>
        part switch
        {
            MappingPart.Keys => "dict_keys",
            MappingPart.Values => "dict_values",
            _ => "dict_items",
        };

    /// <summary>The keys, the values, or pairs of both.</summary>
    public IEnumerable<object?> Items =>
        part switch
        {
            MappingPart.Keys => mapping.Entries.Select(entry => entry.Key),
            MappingPart.Values => mapping.Entries.Select(entry => entry.Value),
            _ => mapping.Entries.Select(entry => (object?)new[] { entry.Key, entry.Value }),
        };
}
