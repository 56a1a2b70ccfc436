using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>What a value can be assigned to.</summary>
/// <param name="place">Where it is.</param>
internal abstract class Target(Place place)
{
    /// <summary>The place of the target in the template.</summary>
    public Place Place { get; } = place;

    /// <summary>Assigns a value to the target in a scope.</summary>
    /// <exception cref="TemplateError">The value does not fit.</exception>
    public abstract void Assign(Scope scope, object? value);
}

/// <summary>A variable that is assigned by its name.</summary>
internal sealed class NameTarget(Place place, string name) : Target(place)
{
    public override void Assign(Scope scope, object? value) => scope.Set(name, value);
}

/// <summary>Several targets, each of which takes one item of the value.</summary>
internal sealed class TupleTarget(Place place, Target[] targets) : Target(place)
{
    public override void Assign(Scope scope, object? value)
    {
        scope.Rendering.At(Place);
        if (Sequences.FindItems(value) is null)
            throw TemplateError.Type($"cannot unpack non-iterable {PythonTypes.Name(value)} object");
        List<object?> items = [.. Sequences.Items(value).Take(targets.Length + 1)];
        if (items.Count < targets.Length)
        {
            throw TemplateError.Value($"not enough values to unpack (expected {targets.Length}, got {items.Count})");
        }
        if (items.Count > targets.Length)
            throw TemplateError.Value($"too many values to unpack (expected {targets.Length})");
        for (int i = 0; i < targets.Length; i++)
            targets[i].Assign(scope, items[i]);
    }
}

/// <summary>An attribute of a namespace.</summary>
internal sealed class NamespaceTarget(Place place, string name, string attribute) : Target(place)
{
    public override void Assign(Scope scope, object? value)
    {
        scope.Rendering.At(Place);
        if (scope.Get(name) is not NamespaceValue space)
            throw new TemplateError("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
        space.Attributes[attribute] = value;
    }
}
