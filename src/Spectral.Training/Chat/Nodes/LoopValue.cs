using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>The variable loop: where a loop is, and the items around the present one.</summary>
internal sealed class LoopValue : Callable
{
    private static readonly object Nothing = new();

    private readonly Func<object?, string>? _recurse;
    private readonly long _depth;
    private IEnumerator<object?> _items;
    private long? _length;
    private object? _previous = Nothing;
    private object? _next = Nothing;
    private object?[]? _lastChange;
    private long _index = -1;

    /// <summary>Creates a loop before its first item.</summary>
    /// <param name="items">The items.</param>
    /// <param name="length">Their number, if it is known.</param>
    /// <param name="depth">The number of loops that called this one.</param>
    /// <param name="recurse">Renders the loop with another value; null if it is not recursive.</param>
    public LoopValue(IEnumerable<object?> items, long? length, long depth, Func<object?, string>? recurse)
    {
        _items = items.GetEnumerator();
        _length = length;
        _depth = depth;
        _recurse = recurse;
    }

    /// <summary>The present item.</summary>
    public object? Current { get; private set; } = Nothing;

    public override string TypeName => "LoopContext";

    public override string Text => $"<LoopContext {_index + 1}/{Length()}>";

    /// <summary>Goes to the next item.</summary>
    /// <returns>Whether there is one.</returns>
    public bool MoveNext()
    {
        object? item = Peek();
        if (item == Nothing)
            return false;
        (_previous, Current, _next) = (Current, item, Nothing);
        _index++;
        return true;
    }

    public override object? Call(Arguments arguments, Rendering rendering)
    {
        object? value = arguments.Bind("loop", 1, "iterable")[0];
        return _recurse is not null
            ? _recurse(value)
            : throw TemplateError.Type("The loop must have the 'recursive' marker to be called recursively.");
    }

    public override bool TryGet(string name, out object? value)
    {
        value = name switch
        {
            "index" => _index + 1,
            "index0" => _index,
            "revindex" => Length() - _index,
            "revindex0" => Length() - _index - 1,
            "first" => _index == 0,
            "last" => Peek() == Nothing,
            "length" => Length(),
            "depth" => _depth + 1,
            "depth0" => _depth,
            "previtem" => _index == 0 ? new Undefined("there is no previous item") : _previous,
            "nextitem" => Peek() == Nothing ? new Undefined("there is no next item") : Peek(),
            "cycle" => new Function(name, (arguments, _) => Cycle(arguments.Positional), "method"),
            "changed" => new Function(
                name,
                (arguments, rendering) => Changed(arguments.Positional, rendering.Budget),
                "method"
            ),
            _ => Nothing,
        };
        return value != Nothing;
    }

    private object? Peek()
    {
        if (_next == Nothing && _items.MoveNext())
            _next = _items.Current;
        return _next;
    }

    private long Length()
    {
        if (_length is { } known)
            return known;
        List<object?> rest = [];
        while (_items.MoveNext())
            rest.Add(_items.Current);
        _items = rest.GetEnumerator();
        _length = rest.Count + _index + 1 + (_next == Nothing ? 0 : 1);
        return _length.Value;
    }

    private object? Cycle(object?[] items) =>
        items.Length > 0 ? items[_index % items.Length] : throw TemplateError.Type("no items for cycling given");

    private object? Changed(object?[] values, Budget budget)
    {
        bool changed = _lastChange is null || !PythonEquality.Equal(_lastChange, values, budget);
        _lastChange = values;
        return changed;
    }
}
