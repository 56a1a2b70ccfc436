using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>The functions that every template can call: Jinja's own and the two that transformers adds.</summary>
internal static class Functions
{
    /// <summary>The functions by name.</summary>
    public static readonly IReadOnlyDictionary<string, Callable> All = new Callable[]
    {
        Named("range", (arguments, _) => Range(arguments), "type"),
        Named("dict", Dict, "type"),
        Named("namespace", (arguments, rendering) => new NamespaceValue(Dict(arguments, rendering)), "type"),
        Named("cycler", (arguments, _) => new Cycler(arguments.Positional), "type"),
        Named("joiner", (arguments, _) => new Joiner(arguments), "type"),
        Named("raise_exception", Raise),
        Named("strftime_now", StrftimeNow),
    }.ToDictionary(function => ((NamedFunction)function).Name);

    private static NamedFunction Named(
        string name,
        Func<Arguments, Rendering, object?> body,
        string typeName = "function"
    ) => new(name, body, typeName);

    private static IntegerRange Range(Arguments arguments)
    {
        if (arguments.Positional.Length is < 1 or > 3 || arguments.Named.Length > 0)
        {
            throw TemplateError.Type(
                $"range expected 1 to 3 arguments without names, got {arguments.Positional.Length}"
            );
        }

        long[] bounds = [.. arguments.Positional.Select(Bound)];
        return bounds switch
        {
            [var stop] => new IntegerRange(0, stop, 1),
            [var start, var stop] => new IntegerRange(start, stop, 1),
            _ => new IntegerRange(bounds[0], bounds[1], bounds[2]),
        };
    }

    private static long Bound(object? value) =>
        value switch
        {
            long number => number,
            bool truth => truth ? 1 : 0,
            Undefined undefined => throw TemplateError.Of(undefined),
            _ => throw TemplateError.Type($"'{PythonTypes.Name(value)}' object cannot be interpreted as an integer"),
        };

    private static Mapping Dict(Arguments arguments, Rendering rendering)
    {
        if (arguments.Positional.Length > 1)
            throw TemplateError.Type($"dict expected at most 1 argument, got {arguments.Positional.Length}");
        Mapping mapping = new();
        if (arguments.Positional is [Mapping other])
        {
            mapping = new Mapping(other);
        }
        else if (arguments.Positional is [var pairs])
        {
            foreach (object? pair in Sequences.Items(pairs))
            {
                List<object?> entry = Sequences.List(pair, rendering.Budget);
                if (entry.Count != 2)
                {
                    throw TemplateError.Value(
                        $"dictionary update sequence element #{mapping.Count} has length {entry.Count}; 2 is required"
                    );
                }
                mapping[entry[0]] = entry[1];
            }
        }
        rendering.Budget.Items(mapping.Count + arguments.Named.Length);
        foreach ((string name, object? value) in arguments.Named)
            mapping[name] = value;
        return mapping;
    }

    private static object? Raise(Arguments arguments, Rendering rendering)
    {
        object? message = arguments.Bind("raise_exception", 1, "message")[0];
        throw new TemplateError("TemplateError", PythonText.Str(message, rendering.Budget));
    }

    private static object StrftimeNow(Arguments arguments, Rendering rendering)
    {
        object? format = arguments.Bind("strftime_now", 1, "format")[0];
        return format is string text
            ? TimeFormat.Format(rendering.Now, text, rendering.Budget)
            : throw TemplateError.Type($"strftime() argument 1 must be str, not {PythonTypes.Name(format)}");
    }

    private sealed class NamedFunction(string name, Func<Arguments, Rendering, object?> body, string typeName)
        : Callable
    {
        public string Name => name;

        public override string TypeName => typeName;

        public override string Text => typeName == "type" ? $"<class '{name}'>" : $"<function {name}>";

        public override object? Call(Arguments arguments, Rendering rendering) => body(arguments, rendering);
    }

    private sealed class Cycler(object?[] items) : Callable
    {
        private int _at;

        public override string TypeName => "Cycler";

        public override string Text => "<Cycler object>";

        public override object? Call(Arguments arguments, Rendering rendering) =>
            throw TemplateError.Type("'Cycler' object is not callable");

        public override bool TryGet(string name, out object? value)
        {
            if (items.Length == 0)
                throw TemplateError.Type("at least one item has to be provided");
            value = name switch
            {
                "current" => items[_at],
                "next" => CollectionMethods.Method(name, (_, _) => Next(), 0),
                "reset" => CollectionMethods.Method(name, (_, _) => Reset(), 0),
                _ => null,
            };
            return name is "current" or "next" or "reset";
        }

        private object? Next()
        {
            object? item = items[_at];
            _at = (_at + 1) % items.Length;
            return item;
        }

        private object? Reset()
        {
            _at = 0;
            return null;
        }
    }

    private sealed class Joiner(Arguments arguments) : Callable
    {
        private readonly object? _separator = arguments.Bind("joiner", 0, "sep")[0];
        private bool _isUsed;

        public override string TypeName => "Joiner";

        public override string Text => "<Joiner object>";

        public override object? Call(Arguments arguments, Rendering rendering)
        {
            (bool wasUsed, _isUsed) = (_isUsed, true);
            if (!wasUsed)
                return "";
            return _separator == Arguments.Absent ? ", " : _separator;
        }
    }
}
