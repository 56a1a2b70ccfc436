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

/// <summary><c>value | name(arguments)</c>.</summary>
internal sealed class FilterCall(Place place, Expression value, string name, ArgumentList arguments) : Expression(place)
{
    private readonly Filter? _filter = Filters.Find(name);

    protected override object? Compute(Scope scope)
    {
        object? input = value.Evaluate(scope);
        Arguments given = arguments.Evaluate(scope);
        Begin(scope);
        return _filter is not null
            ? _filter(input, given, scope.Rendering)
            : throw new TemplateError("TemplateRuntimeError", $"No filter named {PythonText.Quote(name)} found.");
    }
}

/// <summary><c>value is name(arguments)</c>.</summary>
internal sealed class TestCall(Place place, Expression value, string name, ArgumentList arguments) : Expression(place)
{
    private readonly Test? _test = Tests.Find(name);

    protected override object? Compute(Scope scope)
    {
        object? input = value.Evaluate(scope);
        Arguments given = arguments.Evaluate(scope);
        Begin(scope);
        return _test is not null
            ? _test(input, given, scope.Rendering)
            : throw new TemplateError("TemplateRuntimeError", $"No test named {PythonText.Quote(name)} found.");
    }
}

/// <summary>The text that a filter block gives to its filter.</summary>
internal sealed class BlockText(Place place) : Expression(place)
{
    /// <summary>The name under which the text is kept, which no template can write.</summary>
    public const string Variable = "(block)";

    protected override object? Compute(Scope scope) => scope.Get(Variable);
}
