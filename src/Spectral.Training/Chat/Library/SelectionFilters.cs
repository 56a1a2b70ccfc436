using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Filters that map or choose items, one by one as they are asked for.</summary>
internal static class SelectionFilters
{
    /// <summary>The filters by name.</summary>
    public static readonly IReadOnlyDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["map"] = (value, arguments, rendering) => new Generator(Map(value, arguments, rendering)),
        ["select"] = (value, arguments, rendering) => Select(value, arguments, false, true, rendering),
        ["reject"] = (value, arguments, rendering) => Select(value, arguments, false, false, rendering),
        ["selectattr"] = (value, arguments, rendering) => Select(value, arguments, true, true, rendering),
        ["rejectattr"] = (value, arguments, rendering) => Select(value, arguments, true, false, rendering),
        ["unique"] = (value, arguments, rendering) => new Generator(Unique(value, arguments, rendering)),
    };

    private static IEnumerable<object?> Map(object? value, Arguments arguments, Rendering rendering)
    {
        if (!Sequences.IsTrue(value))
            yield break;
        Func<object?, object?> change = Change(arguments, rendering);
        foreach (object? item in Sequences.Items(value))
        {
            rendering.Budget.Step();
            yield return change(item);
        }
    }

    private static Func<object?, object?> Change(Arguments arguments, Rendering rendering)
    {
        if (arguments.Positional.Length == 0 && arguments.Named.Any(pair => pair.Key == "attribute"))
        {
            object? absent = null;
            object? path = null;
            foreach ((string name, object? given) in arguments.Named)
            {
                if (name == "attribute")
                    path = given;
                else if (name == "default")
                    absent = given;
                else
                    throw TemplateError.Argument($"Unexpected keyword argument {PythonText.Quote(name)}");
            }
            return Members.Path(path, absent);
        }
        if (arguments.Positional.Length == 0)
            throw TemplateError.Argument("map requires a filter argument");
        Filter filter = Filters.Get(arguments.Positional[0]);
        Arguments rest = arguments with { Positional = arguments.Positional[1..] };
        return item => filter(item, rest, rendering);
    }

    private static Generator Select(
        object? value,
        Arguments arguments,
        bool byAttribute,
        bool keeps,
        Rendering rendering
    )
    {
        return new Generator(Chosen());

        IEnumerable<object?> Chosen()
        {
            if (!Sequences.IsTrue(value))
                yield break;
            int skip = byAttribute ? 1 : 0;
            if (arguments.Positional.Length < skip)
                throw TemplateError.Argument("Missing parameter for attribute name");
            Func<object?, object?> path = Members.Path(byAttribute ? arguments.Positional[0] : null);
            Test test =
                arguments.Positional.Length > skip
                    ? Tests.Get(arguments.Positional[skip])
                    : (item, _, _) => Sequences.IsTrue(item);
            Arguments rest = arguments with { Positional = [.. arguments.Positional.Skip(skip + 1)] };
            foreach (object? item in Sequences.Items(value))
            {
                rendering.Budget.Step();
                if (test(path(item), rest, rendering) == keeps)
                    yield return item;
            }
        }
    }

    private static IEnumerable<object?> Unique(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("unique", 0, "case_sensitive", "attribute");
        Func<object?, object?> path = Members.Path(given[1] == Arguments.Absent ? null : given[1]);
        Mapping seen = new();
        foreach (object? item in Sequences.Items(value))
        {
            rendering.Budget.Step();
            object? key = ListFilters.CaseKey(path(item), given[0]);
            if (seen.TryGet(key, out _))
                continue;
            seen[key] = null;
            yield return item;
        }
    }
}
