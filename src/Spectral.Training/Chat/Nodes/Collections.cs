using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A list of expressions in brackets.</summary>
internal sealed class ListLiteral(Place place, Expression[] items) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        List<object?> values = new(items.Length);
        foreach (Expression item in items)
            values.Add(item.Evaluate(scope));
        return values;
    }
}

/// <summary>Expressions with commas between them.</summary>
internal sealed class TupleLiteral(Place place, Expression[] items) : Expression(place)
{
    /// <summary>The expressions.</summary>
    public IReadOnlyList<Expression> Items => items;

    protected override object? Compute(Scope scope) => Array.ConvertAll(items, item => item.Evaluate(scope));
}

/// <summary>Keys and values in braces.</summary>
internal sealed class DictionaryLiteral(Place place, KeyValuePair<Expression, Expression>[] entries) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        Mapping mapping = new();
        foreach ((Expression key, Expression value) in entries)
        {
            object? evaluated = key.Evaluate(scope);
            Begin(scope);
            mapping[evaluated] = value.Evaluate(scope);
        }
        return mapping;
    }
}
