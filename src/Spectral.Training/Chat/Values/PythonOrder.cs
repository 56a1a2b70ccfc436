namespace Spectral.Training.Chat.Values;

/// <summary>Python's order of values.</summary>
internal static class PythonOrder
{
    /// <summary>Compares two values: negative if the first is less, 0 if they are equal.</summary>
    /// <param name="a">The first value.</param>
    /// <param name="b">The second value.</param>
    /// <param name="sign">The operator, for the message.</param>
    /// <param name="budget">The budget of the rendering.</param>
    /// <returns>The order; null if one is not a number, so that no comparison holds.</returns>
    /// <exception cref="TemplateError">The types have no order.</exception>
    public static int? Compare(object? a, object? b, string sign, Budget budget)
    {
        budget.Step();
        if (a is Undefined || b is Undefined)
            throw TemplateError.Of((a as Undefined ?? b as Undefined)!);
        if (Arithmetic.IsNumber(a) && Arithmetic.IsNumber(b))
            return Arithmetic.Compare(a, b);
        switch (a, b)
        {
            case (string or Markup, string or Markup):
                return CompareText(PythonText.Str(a, budget), PythonText.Str(b, budget));
            case (List<object?> left, List<object?> right):
                return CompareItems(left, right, sign, budget);
            case (object?[] left, object?[] right):
                return CompareItems(left, right, sign, budget);
            default:
                throw TemplateError.Type(
                    $"'{sign}' not supported between instances of '{PythonTypes.Name(a)}' and "
                        + $"'{PythonTypes.Name(b)}'"
                );
        }
    }

    /// <summary>Sorts by keys, keeping the order of equal ones, also in reverse.</summary>
    public static List<T> Sort<T>(IEnumerable<T> items, Func<T, object?> key, bool reverse, Budget budget)
    {
        (T Item, object? Key)[] keyed = [.. items.Select(item => (item, key(item)))];
        budget.Items(keyed.Length);
        if (reverse)
            Array.Reverse(keyed);
        MergeSort(keyed, new (T, object?)[keyed.Length], budget);
        if (reverse)
            Array.Reverse(keyed);
        return [.. keyed.Select(pair => pair.Item)];
    }

    // .NET's sorts wrap what a comparison throws, and expect an order that numbers with NaN do not have.
    private static void MergeSort<T>(
        Span<(T Item, object? Key)> items,
        Span<(T Item, object? Key)> spare,
        Budget budget
    )
    {
        if (items.Length < 2)
            return;
        int half = items.Length / 2;
        MergeSort(items[..half], spare[..half], budget);
        MergeSort(items[half..], spare[half..], budget);
        items.CopyTo(spare);
        int left = 0;
        int right = half;
        for (int i = 0; i < items.Length; i++)
        {
            bool takesRight =
                left == half
                || (right < items.Length && Compare(spare[right].Key, spare[left].Key, "<", budget) is < 0);
            items[i] = spare[takesRight ? right++ : left++];
        }
    }

    // Python compares code points, .NET's ordinal order UTF-16 units, in which surrogates come before U+E000.
    private static int CompareText(string a, string b)
    {
        int length = Math.Min(a.Length, b.Length);
        for (int i = 0; i < length; i++)
        {
            if (a[i] == b[i])
                continue;
            if (char.IsSurrogate(a[i]) == char.IsSurrogate(b[i]))
                return a[i] - b[i];
            return char.IsSurrogate(a[i]) ? 1 : -1;
        }
        return a.Length - b.Length;
    }

    private static int? CompareItems(IReadOnlyList<object?> a, IReadOnlyList<object?> b, string sign, Budget budget)
    {
        int length = Math.Min(a.Count, b.Count);
        for (int i = 0; i < length; i++)
        {
            if (PythonEquality.Equal(a[i], b[i], budget))
                continue;
            budget.Enter();
            int? order = Compare(a[i], b[i], sign, budget);
            budget.Leave();
            return order;
        }
        return a.Count - b.Count;
    }
}
