using System.Numerics;

namespace Spectral.Training.Chat.Values;

/// <summary>Iteration, length, truth, membership, indices and slices of Python's values.</summary>
internal static class Sequences
{
    /// <summary>Returns whether a value counts as true.</summary>
    public static bool IsTrue(object? value) =>
        value switch
        {
            null or Undefined => false,
            bool truth => truth,
            string text => text.Length > 0,
            Markup markup => markup.Text.Length > 0,
            long number => number != 0,
            double number => number != 0,
            BigInteger number => !number.IsZero,
            List<object?> list => list.Count > 0,
            object?[] tuple => tuple.Length > 0,
            Mapping mapping => mapping.Count > 0,
            MappingView view => view.Count > 0,
            IntegerRange range => range.Count > 0,
            _ => true,
        };

    /// <summary>Returns the length of a value; null if its type has none.</summary>
    public static long? FindLength(object? value) =>
        value switch
        {
            string text => CodePoints.Count(text),
            Markup markup => CodePoints.Count(markup.Text),
            List<object?> list => list.Count,
            object?[] tuple => tuple.Length,
            GroupTuple => 2,
            Mapping mapping => mapping.Count,
            MappingView view => view.Count,
            IntegerRange range => range.Count,
            Undefined => 0,
            _ => null,
        };

    /// <summary>Returns the length of a value.</summary>
    /// <exception cref="TemplateError">Its type has none.</exception>
    public static long Length(object? value) =>
        FindLength(value) ?? throw TemplateError.Type($"object of type '{PythonTypes.Name(value)}' has no len()");

    /// <summary>Returns the items of a value; null if its type has none.</summary>
    public static IEnumerable<object?>? FindItems(object? value) =>
        value switch
        {
            List<object?> list => list,
            object?[] tuple => tuple,
            GroupTuple group => group.Items,
            string text => CodePoints.Of(text),
            Markup markup => CodePoints.Of(markup.Text),
            Mapping mapping => mapping.Entries.Select(entry => entry.Key),
            MappingView view => view.Items,
            IntegerRange range => range,
            Generator generator => generator.Rest(),
            Undefined => [],
            _ => null,
        };

    /// <summary>Returns the items of a value.</summary>
    /// <exception cref="TemplateError">Its type has none.</exception>
    public static IEnumerable<object?> Items(object? value) =>
        FindItems(value) ?? throw TemplateError.Type($"'{PythonTypes.Name(value)}' object is not iterable");

    /// <summary>Returns the items of a value as a new list.</summary>
    public static List<object?> List(object? value, Budget budget)
    {
        budget.Items(FindLength(value) ?? 0);
        List<object?> list = [];
        foreach (object? item in Items(value))
        {
            budget.Step();
            list.Add(item);
            if (list.Count > Budget.MaximumItems)
                budget.Items(list.Count);
        }
        return list;
    }

    /// <summary>Returns whether a container has an item.</summary>
    public static bool Contains(object? container, object? item, Budget budget)
    {
        switch (container)
        {
            case string or Markup:
                if (item is not (string or Markup))
                {
                    throw TemplateError.Type(
                        $"'in <string>' requires string as left operand, not {PythonTypes.Name(item)}"
                    );
                }
                string text = PythonText.Str(container, budget);
                budget.Text(text.Length);
                return text.Contains(PythonText.Str(item, budget), StringComparison.Ordinal);
            case Mapping mapping:
                return mapping.TryGet(item, out _);
            default:
                IEnumerable<object?> items =
                    FindItems(container)
                    ?? throw TemplateError.Type($"argument of type '{PythonTypes.Name(container)}' is not iterable");
                return items.Any(other => PythonEquality.Equal(other, item, budget));
        }
    }

    /// <summary>Finds the item at an index; negative ones count from the end.</summary>
    public static bool TryIndex(object? sequence, long index, out object? item)
    {
        item = null;
        if (sequence is Mapping or MappingView or Undefined || FindLength(sequence) is not { } length)
            return false;
        long at = index < 0 ? index + length : index;
        if (at < 0 || at >= length)
            return false;
        item = sequence switch
        {
            List<object?> list => list[(int)at],
            object?[] tuple => tuple[at],
            GroupTuple group => group.Items[at],
            IntegerRange range => range[(int)at],
            Markup markup => new Markup(CodePoints.Slice(markup.Text, (int)at, 1)),
            _ => CodePoints.Slice((string)sequence!, (int)at, 1),
        };
        return true;
    }

    /// <summary>Returns sequence[start:stop:step]; null for a bound that is not given.</summary>
    /// <exception cref="TemplateError">The value has no slices, or a bound is not an integer.</exception>
    public static object? Slice(object? sequence, object? start, object? stop, object? step, Budget budget)
    {
        if (sequence is not (string or Markup or List<object?> or object?[] or IntegerRange))
        {
            throw sequence switch
            {
                Undefined undefined => TemplateError.Of(undefined),
                Mapping => TemplateError.Type("unhashable type: 'slice'"),
                _ => TemplateError.Type($"'{PythonTypes.Name(sequence)}' object is not subscriptable"),
            };
        }
        long by = Bound(step) ?? 1;
        if (by == 0)
            throw TemplateError.Value("slice step cannot be zero");
        int length = (int)Length(sequence);
        long first = Clip(Bound(start) ?? (by > 0 ? 0 : long.MaxValue), length, by);
        long end = stop is null && by < 0 ? -1 : Clip(Bound(stop) ?? long.MaxValue, length, by);
        long count = by > 0 ? Math.Max(0, (end - first + by - 1) / by) : Math.Max(0, (first - end - by - 1) / -by);
        budget.Steps(1 + count / 16);
        if (sequence is string text)
            return SliceText(text, first, by, (int)count);
        if (sequence is Markup markup)
            return new Markup(SliceText(markup.Text, first, by, (int)count));
        if (sequence is IntegerRange range)
        {
            return new IntegerRange(
                range.Start + first * range.Step,
                range.Start + (first + count * by) * range.Step,
                range.Step * by
            );
        }
        var items = (IReadOnlyList<object?>)sequence!;
        object?[] taken = new object?[count];
        for (int i = 0; i < count; i++)
            taken[i] = items[(int)(first + i * by)];
        return sequence is object?[] ? taken : new List<object?>(taken);
    }

    private static string SliceText(string text, long first, long by, int count)
    {
        if (by == 1)
            return CodePoints.Slice(text, (int)first, count);
        object?[] all = [.. CodePoints.Of(text)];
        return string.Concat(Enumerable.Range(0, count).Select(i => (string)all[first + i * by]!));
    }

    // A bound that counts from the end is moved, and one beyond an end is put there, as Python's slice.indices does.
    private static long Clip(long bound, int length, long step)
    {
        if (bound < 0)
            bound = Math.Max(bound + length, step > 0 ? 0 : -1);
        return Math.Min(bound, step > 0 ? length : length - 1);
    }

    private static long? Bound(object? value) =>
        value switch
        {
            null => null,
            long number => Math.Clamp(number, -int.MaxValue, int.MaxValue),
            bool truth => truth ? 1 : 0,
            BigInteger number => number.Sign * (long)int.MaxValue,
            _ => throw TemplateError.Type("slice indices must be integers or None or have an __index__ method"),
        };
}
