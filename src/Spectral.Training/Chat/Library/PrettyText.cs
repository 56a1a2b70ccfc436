using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>
/// Python's <c>pprint.pformat</c>: keys sorted, and items on lines of their own where one line is too long.
/// </summary>
internal static class PrettyText
{
    private const int Width = 80;

    /// <summary>Returns the text of a value.</summary>
    public static string Format(object? value, Budget budget) => Format(value, 0, 0, budget);

    // Indent is the column at which the value begins, allowance the room that closing brackets need behind it.
    private static string Format(object? value, int indent, int allowance, Budget budget)
    {
        value = Sorted(value, budget);
        string line = PythonText.Repr(value, budget);
        if (line.Length <= Width - indent - allowance)
            return line;
        budget.Enter();
        string text = value switch
        {
            List<object?> { Count: > 0 } list => "[" + Items(list, indent + 1, allowance + 1, budget) + "]",
            object?[] { Length: 1 } tuple => "(" + Items(tuple, indent + 1, allowance + 2, budget) + ",)",
            object?[] { Length: > 0 } tuple => "(" + Items(tuple, indent + 1, allowance + 1, budget) + ")",
            Mapping { Count: > 0 } mapping => "{" + Entries(mapping, indent + 1, allowance + 1, budget) + "}",
            _ => line,
        };
        budget.Leave();
        return text;
    }

    private static string Items(IReadOnlyList<object?> items, int indent, int allowance, Budget budget) =>
        string.Join(
            Break(indent),
            items.Select((item, i) => Format(item, indent, i == items.Count - 1 ? allowance : 1, budget))
        );

    private static string Entries(Mapping mapping, int indent, int allowance, Budget budget) =>
        string.Join(
            Break(indent),
            mapping.Entries.Select(
                (entry, i) =>
                {
                    string key = PythonText.Repr(entry.Key, budget) + ": ";
                    int room = i == mapping.Count - 1 ? allowance : 1;
                    return key + Format(entry.Value, indent + key.Length, room, budget);
                }
            )
        );

    private static string Break(int indent) => ",\n" + new string(' ', indent);

    private static object? Sorted(object? value, Budget budget)
    {
        switch (value)
        {
            case List<object?> list:
                return new List<object?>(SortedItems(list, budget));
            case object?[] tuple:
                return SortedItems(tuple, budget);
            case Mapping mapping:
                KeyValuePair<object?, object?>[] entries = [.. SortedEntries(mapping, budget)];
                object?[] values = SortedItems([.. entries.Select(entry => entry.Value)], budget);
                Mapping sorted = new();
                for (int i = 0; i < entries.Length; i++)
                    sorted[entries[i].Key] = values[i];
                return sorted;
            default:
                return value;
        }
    }

    private static object?[] SortedItems(IReadOnlyList<object?> items, Budget budget)
    {
        budget.Enter();
        budget.Items(items.Count);
        object?[] sorted = [.. items.Select(item => Sorted(item, budget))];
        budget.Leave();
        return sorted;
    }

    private static IEnumerable<KeyValuePair<object?, object?>> SortedEntries(Mapping mapping, Budget budget) =>
        mapping.Entries.All(entry => entry.Key is string)
            ? PythonOrder.Sort(mapping.Entries, entry => entry.Key, reverse: false, budget)
            : mapping.Entries;
}
