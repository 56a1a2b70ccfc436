using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>The names that are visible at a place while a template renders.</summary>
/// <param name="outer">The scope around it; null for the outermost.</param>
/// <param name="rendering">The rendering.</param>
internal sealed class Scope(Scope? outer, Rendering rendering)
{
    // Most scopes are those of loop iterations, with a few names.
    private readonly List<KeyValuePair<string, object?>> _values = [];

    /// <summary>The rendering.</summary>
    public Rendering Rendering { get; } = rendering;

    /// <summary>Creates a scope within this one.</summary>
    public Scope Inner() => new(this, Rendering);

    /// <summary>Sets a name in this scope.</summary>
    public void Set(string name, object? value)
    {
        for (int i = 0; i < _values.Count; i++)
        {
            if (_values[i].Key == name)
            {
                _values[i] = new(name, value);
                return;
            }
        }
        _values.Add(new(name, value));
    }

    /// <summary>Returns the value of a name, undefined if it has none.</summary>
    public object? Get(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Outer)
        {
            foreach (KeyValuePair<string, object?> pair in scope._values)
            {
                if (pair.Key == name)
                    return pair.Value;
            }
        }
        return Functions.All.TryGetValue(name, out Callable? function) ? function : Undefined.Variable(name);
    }

    private Scope? Outer => outer;
}
