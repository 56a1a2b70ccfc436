using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>What a macro is made of: its parameters, its body and the special names that the body uses.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parameters">The names of its parameters.</param>
/// <param name="Defaults">The defaults of the last parameters.</param>
/// <param name="Body">Its statements.</param>
/// <param name="UsesCaller">Whether the body uses the caller.</param>
/// <param name="UsesNamed">Whether the body uses kwargs.</param>
/// <param name="UsesRest">Whether the body uses varargs.</param>
internal sealed record MacroDefinition(
    string Name,
    string[] Parameters,
    Expression[] Defaults,
    Statement[] Body,
    bool UsesCaller,
    bool UsesNamed,
    bool UsesRest
);

/// <summary>Defines a macro.</summary>
internal sealed class MacroStatement(MacroDefinition definition) : Statement
{
    public override Flow Execute(Scope scope)
    {
        scope.Set(definition.Name, new Macro(definition, scope));
        return Flow.Next;
    }
}

/// <summary>A call block: calls a macro, which can print the block by calling caller.</summary>
internal sealed class CallBlock(Call call, MacroDefinition caller) : Statement
{
    public override Flow Execute(Scope scope)
    {
        object? value = call.Evaluate(scope, new Macro(caller, scope));
        scope.Rendering.Write(PythonText.Str(value, scope.Rendering.Budget));
        return Flow.Next;
    }
}

/// <summary>A macro with the scope in which it was defined.</summary>
internal sealed class Macro(MacroDefinition definition, Scope scope) : Callable
{
    public override string TypeName => "Macro";

    public override string Text => $"<Macro {PythonText.Quote(definition.Name)}>";

    public override object? Call(Arguments arguments, Rendering rendering)
    {
        rendering.Budget.Enter();
        Scope inner = scope.Inner();
        Bind(arguments, inner);
        string text = rendering.Capture(() => Statement.Execute(definition.Body, inner));
        rendering.Budget.Leave();
        return text;
    }

    public override bool TryGet(string name, out object? value)
    {
        value = name switch
        {
            "name" => definition.Name,
            "arguments" => definition.Parameters,
            "caller" => definition.UsesCaller,
            "catch_kwargs" => definition.UsesNamed,
            "catch_varargs" => definition.UsesRest,
            _ => null,
        };
        return value is not null;
    }

    private void Bind(Arguments arguments, Scope inner)
    {
        string[] parameters = definition.Parameters;
        List<KeyValuePair<string, object?>> named = [.. arguments.Named];
        for (int i = 0; i < parameters.Length; i++)
        {
            int given = named.FindIndex(pair => pair.Key == parameters[i]);
            if (i < arguments.Positional.Length)
            {
                inner.Set(parameters[i], arguments.Positional[i]);
            }
            else if (given >= 0)
            {
                inner.Set(parameters[i], named[given].Value);
                named.RemoveAt(given);
            }
            else
            {
                inner.Set(parameters[i], Default(i, inner));
            }
        }
        if (definition.UsesCaller && !parameters.Contains("caller"))
        {
            int given = named.FindIndex(pair => pair.Key == "caller");
            inner.Set("caller", given >= 0 ? named[given].Value : new Undefined("No caller defined"));
            if (given >= 0)
                named.RemoveAt(given);
        }
        BindRest(arguments, named, inner);
    }

    private void BindRest(Arguments arguments, List<KeyValuePair<string, object?>> named, Scope inner)
    {
        string name = PythonText.Quote(definition.Name);
        int count = definition.Parameters.Length;
        if (definition.UsesNamed)
        {
            Mapping rest = new();
            foreach ((string key, object? value) in named)
                rest[key] = value;
            inner.Set("kwargs", rest);
        }
        else if (named.Exists(pair => pair.Key == "caller"))
        {
            throw TemplateError.Type(
                $"macro {name} was invoked with two values for the special caller argument. This is most likely a bug."
            );
        }
        else if (named.Count > 0)
        {
            throw TemplateError.Type($"macro {name} takes no keyword argument {PythonText.Quote(named[0].Key)}");
        }
        if (definition.UsesRest)
            inner.Set("varargs", arguments.Positional.Skip(count).ToArray());
        else if (arguments.Positional.Length > count)
            throw TemplateError.Type($"macro {name} takes not more than {count} argument(s)");
    }

    private object? Default(int parameter, Scope inner)
    {
        int at = parameter - (definition.Parameters.Length - definition.Defaults.Length);
        return at >= 0
            ? definition.Defaults[at].Evaluate(inner)
            : new Undefined($"parameter {PythonText.Quote(definition.Parameters[parameter])} was not provided");
    }
}
