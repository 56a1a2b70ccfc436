using System.Runtime.InteropServices;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's dict: keys of any hashable type, in the order in which they were first set.</summary>
internal sealed class Mapping
{
    private const int LargestKey = 1000;

    private readonly Dictionary<object, int> _places = new(PythonEquality.Instance);
    private readonly List<KeyValuePair<object?, object?>> _entries = [];

    // A Dictionary has no null keys.
    private static readonly object NoneKey = new();

    public Mapping() { }

    /// <summary>Creates a copy.</summary>
    public Mapping(Mapping other)
    {
        foreach ((object? key, object? value) in other.Entries)
            this[key] = value;
    }

    /// <summary>The number of keys.</summary>
    public int Count => _entries.Count;

    /// <summary>Keys and values in order.</summary>
    public IReadOnlyList<KeyValuePair<object?, object?>> Entries => _entries;

    /// <summary>Sets the value of a key, which keeps its place if it has one.</summary>
    public object? this[object? key]
    {
        set
        {
            ref int place = ref CollectionsMarshal.GetValueRefOrAddDefault(_places, Key(key), out bool known);
            if (known)
            {
                _entries[place] = new(_entries[place].Key, value);
                return;
            }
            place = _entries.Count;
            _entries.Add(new(key, value));
        }
    }

    /// <summary>Finds the value of a key.</summary>
    /// <exception cref="TemplateError">The key is not hashable.</exception>
    public bool TryGet(object? key, out object? value)
    {
        bool found = _places.TryGetValue(Key(key), out int place);
        value = found ? _entries[place].Value : null;
        return found;
    }

    private static object Key(object? key)
    {
        if (key is string text)
            return text;
        RequireHashable(key, LargestKey);
        return key ?? NoneKey;
    }

    // Returns how many more values the key may have, as keys are compared without a budget.
    private static int RequireHashable(object? key, int left)
    {
        if (left <= 0)
            throw TemplateError.Limit($"a key of more than {LargestKey} values");
        if (key is List<object?> or Mapping)
            throw TemplateError.Type($"unhashable type: {PythonText.Quote(PythonTypes.Name(key))}");
        left--;
        if (key is object?[] items)
        {
            foreach (object? item in items)
                left = RequireHashable(item, left);
        }
        return left;
    }
}
