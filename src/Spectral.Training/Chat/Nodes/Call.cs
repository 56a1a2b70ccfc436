using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A call of a function, macro or method.</summary>
internal sealed class Call(Place place, Expression callee, ArgumentList arguments) : Expression(place)
{
    /// <summary>Calls it with the body of a call block as the argument named caller.</summary>
    public object? Evaluate(Scope scope, Callable caller) => Invoke(scope, caller);

    protected override object? Compute(Scope scope) => Invoke(scope, null);

    private object? Invoke(Scope scope, Callable? caller)
    {
        object? function = callee.Evaluate(scope);
        Arguments given = arguments.Evaluate(scope);
        if (caller is not null)
            given = given with { Named = [.. given.Named, KeyValuePair.Create("caller", (object?)caller)] };
        Begin(scope);
        return function switch
        {
            Callable callable => callable.Call(given, scope.Rendering),
            Undefined undefined => throw TemplateError.Of(undefined),
            _ => throw TemplateError.Type($"'{PythonTypes.Name(function)}' object is not callable"),
        };
    }
}

/// <summary>A filter or test of the library, which gets a value and arguments.</summary>
internal abstract class LibraryCall(Place place, Expression value, ArgumentList arguments) : Expression(place)
{
    /// <summary>Calls what the name stands for.</summary>
    protected abstract object? Invoke(object? input, Arguments given, Rendering rendering);

    protected override object? Compute(Scope scope)
    {
        object? input = value.Evaluate(scope);
        Arguments given = arguments.Evaluate(scope);
        Begin(scope);
        return Invoke(input, given, scope.Rendering);
    }

    /// <summary>Returns the error of a name that the library does not have.</summary>
    protected static TemplateError Missing(string kind, string name) =>
        new("TemplateRuntimeError", $"No {kind} named {PythonText.Quote(name)} found.");
}

/// <summary><c>value | name(arguments)</c>.</summary>
internal sealed class FilterCall(Place place, Expression value, string name, ArgumentList arguments)
    : LibraryCall(place, value, arguments)
{
    private readonly Filter? _filter = Filters.Find(name);

    protected override object? Invoke(object? input, Arguments given, Rendering rendering) =>
        _filter is not null ? _filter(input, given, rendering) : throw Missing("filter", name);
}

/// <summary><c>value is name(arguments)</c>.</summary>
internal sealed class TestCall(Place place, Expression value, string name, ArgumentList arguments)
    : LibraryCall(place, value, arguments)
{
    private readonly Test? _test = Tests.Find(name);

    protected override object? Invoke(object? input, Arguments given, Rendering rendering) =>
        _test is not null ? _test(input, given, rendering) : throw Missing("test", name);
}

/// <summary>The text that a filter block gives to its filter.</summary>
internal sealed class BlockText(Place place) : Expression(place)
{
    /// <summary>The name under which the text is kept, which no template can write.</summary>
    public const string Variable = "(block)";

    protected override object? Compute(Scope scope) => scope.Get(Variable);
}
