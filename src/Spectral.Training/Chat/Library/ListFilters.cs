using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Filters on lists and other iterables.</summary>
internal static class ListFilters
{
    /// <summary>The filters by name.</summary>
    public static readonly IReadOnlyDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["list"] = TextFilters.Plain("list", (value, rendering) => Sequences.List(value, rendering.Budget)),
        ["first"] = TextFilters.Plain("first", (value, _) => First(value)),
        ["last"] = TextFilters.Plain("last", (value, _) => Last(value)),
        ["join"] = Join,
        ["reverse"] = TextFilters.Plain("reverse", Reverse),
        ["sort"] = Sort,
        ["dictsort"] = DictSort,
        ["items"] = TextFilters.Plain("items", (value, _) => Items(value)),
        ["sum"] = Sum,
        ["min"] = (value, arguments, rendering) => Extreme("min", value, arguments, rendering),
        ["max"] = (value, arguments, rendering) => Extreme("max", value, arguments, rendering),
        ["batch"] = (value, arguments, rendering) => new Generator(Batch(value, arguments, rendering)),
        ["slice"] = (value, arguments, rendering) => new Generator(Slice(value, arguments, rendering)),
        ["groupby"] = GroupBy,
    };

    /// <summary>Returns a key that ignores the case of texts unless told otherwise.</summary>
    public static object? CaseKey(object? value, object? isCaseSensitive) =>
        value is string text && (isCaseSensitive == Arguments.Absent || !Sequences.IsTrue(isCaseSensitive))
            ? CaseMapping.Lower(text)
            : value;

    private static object? First(object? value)
    {
        foreach (object? item in Sequences.Items(value))
            return item;
        return new Undefined("No first item, sequence was empty.");
    }

    private static object? Last(object? value)
    {
        if (value is Generator or NamespaceValue || Sequences.FindItems(value) is not { } items)
            throw TemplateError.Type($"'{PythonTypes.Name(value)}' object is not reversible");
        object? last = new Undefined("No last item, sequence was empty.");
        if (Sequences.TryIndex(value, -1, out object? found))
            return found;
        foreach (object? item in items)
            last = item;
        return last;
    }

    private static string Join(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("join", 0, "d", "attribute");
        Budget budget = rendering.Budget;
        Func<object?, object?> path = Members.Path(Given(given[1]));
        string joint = given[0] == Arguments.Absent ? "" : PythonText.Str(given[0], budget);
        var builder = new System.Text.StringBuilder();
        bool isFirst = true;
        foreach (object? item in Sequences.Items(value))
        {
            if (!isFirst)
                builder.Append(joint);
            isFirst = false;
            builder.Append(PythonText.Str(path(item), budget));
            budget.Step();
            if (builder.Length > Budget.MaximumText)
                budget.Text(builder.Length);
        }
        budget.Text(builder.Length);
        return builder.ToString();
    }

    private static object Reverse(object? value, Rendering rendering)
    {
        if (value is string or Markup)
        {
            string reversed = string.Concat(Sequences.List(value, rendering.Budget).AsEnumerable().Reverse());
            return value is Markup ? new Markup(reversed) : reversed;
        }
        if (Sequences.FindItems(value) is null)
            throw TemplateError.Argument("argument must be iterable");
        List<object?> items = Sequences.List(value, rendering.Budget);
        items.Reverse();
        return value is Generator ? items : new Generator(items);
    }

    private static object Sort(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute");
        Func<object?, object?>[] paths = Given(given[2]) is string names
            ? [.. names.Split(',').Select(name => Members.Path(name))]
            : [Members.Path(Given(given[2]))];
        return PythonOrder.Sort(
            Sequences.Items(value),
            item => new List<object?>(paths.Select(path => CaseKey(path(item), given[1]))),
            IsGiven(given[0]),
            rendering.Budget
        );
    }

    private static object DictSort(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse");
        string by = given[1] == Arguments.Absent ? "key" : PythonText.Str(given[1], rendering.Budget);
        if (by is not ("key" or "value"))
            throw TemplateError.Argument("You can only sort by either \"key\" or \"value\"");
        if (value is Undefined undefined)
            throw TemplateError.Of(undefined);
        if (value is not Mapping mapping)
        {
            throw new TemplateError("AttributeError", $"'{PythonTypes.Name(value)}' object has no attribute 'items'");
        }
        return PythonOrder.Sort(
            new MappingView(mapping, MappingPart.Items).Items,
            item => CaseKey(((object?[])item!)[by == "key" ? 0 : 1], given[0]),
            IsGiven(given[2]),
            rendering.Budget
        );
    }

    private static Generator Items(object? value) =>
        value switch
        {
            Undefined => new Generator([]),
            Mapping mapping => new Generator(new MappingView(mapping, MappingPart.Items).Items),
            _ => throw TemplateError.Type("Can only get item pairs from a mapping."),
        };

    private static object? Sum(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("sum", 0, "attribute", "start");
        object? total = given[1] == Arguments.Absent ? 0L : given[1];
        if (total is string or Markup)
            throw TemplateError.Type("sum() can't sum strings [use ''.join(seq) instead]");
        Func<object?, object?> path = Members.Path(Given(given[0]));
        foreach (object? item in Sequences.Items(value))
        {
            rendering.Budget.Step();
            total = Operators.Add(total, path(item), rendering.Budget);
        }
        return total;
    }

    private static object? Extreme(string name, object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind(name, 0, "case_sensitive", "attribute");
        Func<object?, object?> path = Members.Path(Given(given[1]));
        object? best = new Undefined("No aggregated item, sequence was empty.");
        object? bestKey = null;
        bool isFirst = true;
        string sign = name == "min" ? "<" : ">";
        foreach (object? item in Sequences.Items(value))
        {
            object? key = CaseKey(path(item), given[0]);
            int order = isFirst ? 0 : PythonOrder.Compare(key, bestKey, sign, rendering.Budget) ?? 0;
            if (isFirst || (name == "min" ? order < 0 : order > 0))
                (best, bestKey) = (item, key);
            isFirst = false;
        }
        return best;
    }

    private static IEnumerable<object?> Batch(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("batch", 1, "linecount", "fill_with");
        long size = Integer(given[0]);
        List<object?> line = [];
        foreach (object? item in Sequences.Items(value))
        {
            rendering.Budget.Step();
            if (line.Count == size)
            {
                yield return line;
                line = [];
            }
            line.Add(item);
        }
        if (line.Count == 0)
            yield break;
        if (Given(given[1]) is { } fill && line.Count < size)
        {
            rendering.Budget.Items(size);
            line.AddRange(Enumerable.Repeat(fill, (int)size - line.Count));
        }
        yield return line;
    }

    private static IEnumerable<object?> Slice(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("slice", 1, "slices", "fill_with");
        long slices = Integer(given[0]);
        List<object?> all = Sequences.List(value, rendering.Budget);
        if (slices == 0)
            throw new TemplateError("ZeroDivisionError", "integer division or modulo by zero");
        rendering.Budget.Items(Math.Max(0, slices));
        long each = all.Count / Math.Max(1, slices);
        long extra = all.Count % Math.Max(1, slices);
        int at = 0;
        for (long i = 0; i < slices; i++)
        {
            int length = (int)(each + (i < extra ? 1 : 0));
            List<object?> slice = all.GetRange(at, length);
            at += length;
            if (Given(given[1]) is { } fill && i >= extra)
                slice.Add(fill);
            yield return slice;
        }
    }

    private static object GroupBy(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        Func<object?, object?> path = Members.Path(given[0], Given(given[1]));
        List<object?> sorted = PythonOrder.Sort(
            Sequences.Items(value),
            item => CaseKey(path(item), given[2]),
            reverse: false,
            rendering.Budget
        );
        List<object?> groups = [];
        List<object?> members = [];
        object? key = null;
        foreach (object? item in sorted)
        {
            object? next = CaseKey(path(item), given[2]);
            if (groups.Count == 0 || !PythonEquality.Equal(next, key, rendering.Budget))
            {
                members = [];
                groups.Add(new GroupTuple(path(item), members));
                key = next;
            }
            members.Add(item);
        }
        return groups;
    }

    private static long Integer(object? value) =>
        value is long number
            ? number
            : throw TemplateError.Type($"'{PythonTypes.Name(value)}' object cannot be interpreted as an integer");

    private static object? Given(object? value) => value == Arguments.Absent ? null : value;

    private static bool IsGiven(object? flag) => flag != Arguments.Absent && Sequences.IsTrue(flag);
}
