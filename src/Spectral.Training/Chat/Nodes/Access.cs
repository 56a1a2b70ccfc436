using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary><c>owner.name</c>.</summary>
internal sealed class AttributeAccess(Place place, Expression owner, string name) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? value = owner.Evaluate(scope);
        Begin(scope);
        return Members.Attribute(value, name);
    }
}

/// <summary><c>owner[key]</c>.</summary>
internal sealed class ItemAccess(Place place, Expression owner, Expression key) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? value = owner.Evaluate(scope);
        object? at = key.Evaluate(scope);
        Begin(scope);
        return Members.Item(value, at);
    }
}

/// <summary><c>owner[start:stop:step]</c>.</summary>
internal sealed class SliceAccess(Place place, Expression owner, Expression? start, Expression? stop, Expression? step)
    : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? value = owner.Evaluate(scope);
        object?[] bounds = [start?.Evaluate(scope), stop?.Evaluate(scope), step?.Evaluate(scope)];
        Budget budget = Begin(scope);
        return Sequences.Slice(value, bounds[0], bounds[1], bounds[2], budget);
    }
}
