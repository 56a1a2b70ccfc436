using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>A chain of comparisons, each with its operator; it ends at the first that does not hold.</summary>
internal sealed class Comparison(Place place, Expression first, KeyValuePair<string, Expression>[] others)
    : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? left = first.Evaluate(scope);
        foreach ((string sign, Expression other) in others)
        {
            object? right = other.Evaluate(scope);
            if (!Holds(sign, left, right, Begin(scope)))
                return false;
            left = right;
        }
        return true;
    }

    private static bool Holds(string sign, object? left, object? right, Budget budget) =>
        sign switch
        {
            "==" => PythonEquality.Equal(left, right, budget),
            "!=" => !PythonEquality.Equal(left, right, budget),
            "in" => Sequences.Contains(right, left, budget),
            "not in" => !Sequences.Contains(right, left, budget),
            "<" => PythonOrder.Compare(left, right, sign, budget) < 0,
            "<=" => PythonOrder.Compare(left, right, sign, budget) <= 0,
            ">" => PythonOrder.Compare(left, right, sign, budget) > 0,
            _ => PythonOrder.Compare(left, right, sign, budget) >= 0,
        };
}
