using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary><c>not operand</c>.</summary>
internal sealed class Not(Place place, Expression operand) : Expression(place)
{
    protected override object? Compute(Scope scope) => !Sequences.IsTrue(operand.Evaluate(scope));
}

/// <summary><c>left and right</c>: the first that is false, or else the second.</summary>
internal sealed class And(Place place, Expression left, Expression right) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? first = left.Evaluate(scope);
        return Sequences.IsTrue(first) ? right.Evaluate(scope) : first;
    }
}

/// <summary><c>left or right</c>: the first that is true, or else the second.</summary>
internal sealed class Or(Place place, Expression left, Expression right) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? first = left.Evaluate(scope);
        return Sequences.IsTrue(first) ? first : right.Evaluate(scope);
    }
}

/// <summary><c>value if condition else otherwise</c>.</summary>
internal sealed class Conditional(Place place, Expression condition, Expression value, Expression? otherwise)
    : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        if (Sequences.IsTrue(condition.Evaluate(scope)))
            return value.Evaluate(scope);
        return otherwise is not null
            ? otherwise.Evaluate(scope)
            : new Undefined(
                $"the inline if-expression on line {Place.Line} evaluated to false and no else section was defined."
            );
    }
}
