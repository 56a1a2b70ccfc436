using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>
/// What the parser must know of the code so far: the special names that macros use, and filters and tests that do not
/// exist. The latter are errors at once, except in conditional code, where they are only if they are reached.
/// </summary>
internal sealed class ParseState
{
    private readonly Stack<HashSet<string>> _uses = new();
    private readonly List<(SyntaxError Error, bool Counts)> _unknown = [];

    /// <summary>The number of unknown filters and tests so far.</summary>
    public int UnknownCount => _unknown.Count;

    /// <summary>Notes that an expression uses a name.</summary>
    public void Use(string name)
    {
        foreach (HashSet<string> uses in _uses)
            uses.Add(name);
    }

    /// <summary>Begins a macro.</summary>
    public void BeginMacro() => _uses.Push([]);

    /// <summary>Ends a macro, and returns the names that it uses.</summary>
    public HashSet<string> EndMacro() => _uses.Pop();

    /// <summary>Notes a filter or test that does not exist.</summary>
    public void Unknown(Place place, string message) => _unknown.Add((new SyntaxError(place, message), false));

    /// <summary>
    /// Makes the unknown filters and tests since <paramref name="count"/> errors, also in conditions.
    /// </summary>
    public void Confirm(int count)
    {
        for (int i = count; i < _unknown.Count; i++)
            _unknown[i] = (_unknown[i].Error, true);
    }

    /// <summary>Forgives unknown filters and tests since <paramref name="count"/>, as they are conditional.</summary>
    public void Forgive(int count)
    {
        for (int i = _unknown.Count - 1; i >= count; i--)
        {
            if (!_unknown[i].Counts)
                _unknown.RemoveAt(i);
        }
    }

    /// <summary>Throws the first error.</summary>
    /// <exception cref="SyntaxError">A filter or test does not exist.</exception>
    public void ThrowUnknown()
    {
        if (_unknown.Count > 0)
            throw _unknown[0].Error;
    }
}
