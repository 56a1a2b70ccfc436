using System.Numerics;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's <c>==</c> and <c>hash</c>: numbers are equal across types, true and 1 too.</summary>
internal sealed class PythonEquality : IEqualityComparer<object>
{
    public static readonly PythonEquality Instance = new();

    /// <summary>Returns whether two values are equal.</summary>
    public static bool Equal(object? a, object? b, Budget budget)
    {
        if (ReferenceEquals(a, b) && a is not double.NaN)
            return true;
        budget.Step();
        switch (a, b)
        {
            case (string left, string right):
                return left == right;
            case (null, _) or (_, null):
                return false;
            case (Markup or string, Markup or string):
                return PythonText.Str(a, budget) == PythonText.Str(b, budget);
            case (Undefined, Undefined):
                return true;
            case (List<object?> left, List<object?> right):
                return EqualItems(left, right, budget);
            case (object?[] left, object?[] right):
                return EqualItems(left, right, budget);
            case (Mapping left, Mapping right):
                return EqualEntries(left, right, budget);
            case (IntegerRange left, IntegerRange right):
                return left.SequenceEqual(right);
            case (MappingView left, MappingView right):
                return left.Count == right.Count
                    && left.TypeName == right.TypeName
                    && left.TypeName != "dict_values"
                    && left.Items.All(item => right.Items.Any(other => Equal(item, other, budget)));
            default:
                return Arithmetic.IsNumber(a) && Arithmetic.IsNumber(b) && Arithmetic.Compare(a, b) == 0;
        }
    }

    bool IEqualityComparer<object>.Equals(object? x, object? y) =>
        x is string a && y is string b ? a == b : Equal(x, y, new Budget());

    int IEqualityComparer<object>.GetHashCode(object value) => Hash(value);

    private static int Hash(object? value) =>
        value switch
        {
            null => 0,
            string text => text.GetHashCode(),
            Markup markup => markup.Text.GetHashCode(),
            bool truth => (truth ? 1.0 : 0.0).GetHashCode(),
            long number => ((double)number).GetHashCode(),
            BigInteger number => ((double)number).GetHashCode(),
            double number => number.GetHashCode(),
            object?[] items => items.Aggregate(items.Length, (hash, item) => HashCode.Combine(hash, Hash(item))),
            Undefined => 1,
            _ => value.GetHashCode(),
        };

    private static bool EqualItems(IReadOnlyList<object?> a, IReadOnlyList<object?> b, Budget budget)
    {
        if (a.Count != b.Count)
            return false;
        budget.Enter();
        bool equal = true;
        for (int i = 0; equal && i < a.Count; i++)
            equal = Equal(a[i], b[i], budget);
        budget.Leave();
        return equal;
    }

    private static bool EqualEntries(Mapping a, Mapping b, Budget budget)
    {
        if (a.Count != b.Count)
            return false;
        budget.Enter();
        bool equal = a.Entries.All(entry =>
            b.TryGet(entry.Key, out object? other) && Equal(entry.Value, other, budget)
        );
        budget.Leave();
        return equal;
    }
}
