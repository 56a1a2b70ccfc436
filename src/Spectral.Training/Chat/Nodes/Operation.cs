using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Nodes;

/// <summary>An arithmetic operator with its two operands.</summary>
internal sealed class Operation(Place place, string sign, Expression left, Expression right) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? a = left.Evaluate(scope);
        object? b = right.Evaluate(scope);
        Budget budget = Begin(scope);
        return sign switch
        {
            "+" => Operators.Add(a, b, budget),
            "*" => Operators.Multiply(a, b, budget),
            "%" => Operators.Modulo(a, b, budget),
            "-" => Operators.Numeric(sign, a, b, Arithmetic.Subtract),
            "/" => Operators.Numeric(sign, a, b, Arithmetic.Divide),
            "//" => Operators.Numeric(sign, a, b, Arithmetic.FloorDivide),
            _ => Operators.Numeric("** or pow()", a, b, Arithmetic.Power),
        };
    }
}

/// <summary>A number with a sign.</summary>
internal sealed class Sign(Place place, bool isNegative, Expression operand) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        object? value = operand.Evaluate(scope);
        Begin(scope);
        return Operators.Signed(value, isNegative);
    }
}

/// <summary>The texts of values joined, with ~ between them.</summary>
internal sealed class Concatenation(Place place, Expression[] parts) : Expression(place)
{
    protected override object? Compute(Scope scope)
    {
        string[] texts = new string[parts.Length];
        long length = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            texts[i] = PythonText.Str(parts[i].Evaluate(scope), scope.Rendering.Budget);
            length += texts[i].Length;
        }
        Begin(scope).Text(length);
        return string.Concat(texts);
    }
}
