using System.Numerics;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's binary and unary operators on values of any type.</summary>
internal static class Operators
{
    /// <summary>Returns a + b: the sum of numbers, or texts or lists joined.</summary>
    public static object? Add(object? a, object? b, Budget budget)
    {
        switch (a, b)
        {
            case (string left, string right):
                budget.Text((long)left.Length + right.Length);
                return left + right;
            case (string or Markup, string or Markup):
                string html = Markup.Of(a, budget).Text;
                string rest = Markup.Of(b, budget).Text;
                budget.Text((long)html.Length + rest.Length);
                return new Markup(html + rest);
            case (List<object?> left, List<object?> right):
                budget.Items(left.Count + right.Count);
                return new List<object?>([.. left, .. right]);
            case (object?[] left, object?[] right):
                budget.Items(left.Length + right.Length);
                return (object?[])[.. left, .. right];
        }
        if (Arithmetic.IsNumber(a) && Arithmetic.IsNumber(b))
            return Arithmetic.Add(a, b);
        RequireDefined(a, b);
        throw (a, b) switch
        {
            (string or Markup, _) => TemplateError.Type(
                $"can only concatenate str (not \"{PythonTypes.Name(b)}\") to str"
            ),
            (List<object?>, _) => TemplateError.Type(
                $"can only concatenate list (not \"{PythonTypes.Name(b)}\") to list"
            ),
            (object?[], _) => TemplateError.Type(
                $"can only concatenate tuple (not \"{PythonTypes.Name(b)}\") to tuple"
            ),
            _ => Unsupported("+", a, b),
        };
    }

    /// <summary>Returns a · b: the product of numbers, or a text or list repeated.</summary>
    public static object? Multiply(object? a, object? b, Budget budget)
    {
        if (Arithmetic.IsNumber(a) && Arithmetic.IsNumber(b))
            return Arithmetic.Multiply(a, b);
        RequireDefined(a, b);
        if (Arithmetic.IsInteger(a) && b is (string or Markup or List<object?> or object?[]))
            return Repeat(b, Arithmetic.Big(a), budget);
        if (a is not (string or Markup or List<object?> or object?[]))
            throw Unsupported("*", a, b);
        return Arithmetic.IsInteger(b)
            ? Repeat(a, Arithmetic.Big(b), budget)
            : throw TemplateError.Type($"can't multiply sequence by non-int of type '{PythonTypes.Name(b)}'");
    }

    /// <summary>Returns a % b: the remainder of numbers, or a text with its directives filled in.</summary>
    public static object? Modulo(object? a, object? b, Budget budget)
    {
        if (a is string format)
            return PercentFormat.Format(format, b, budget);
        if (a is Markup markup)
            return new Markup(PercentFormat.Format(markup.Text, Escaped(b, budget), budget));
        return Numeric("%", a, b, Arithmetic.Modulo);
    }

    /// <summary>Applies an operator that only numbers have.</summary>
    /// <param name="sign">The operator, for the message.</param>
    /// <param name="a">The first operand.</param>
    /// <param name="b">The second operand.</param>
    /// <param name="operation">What it does.</param>
    public static object? Numeric(string sign, object? a, object? b, Func<object?, object?, object> operation)
    {
        if (Arithmetic.IsNumber(a) && Arithmetic.IsNumber(b))
            return operation(a, b);
        RequireDefined(a, b);
        throw Unsupported(sign, a, b);
    }

    /// <summary>Returns −value, or value itself if not <paramref name="negative"/>.</summary>
    public static object? Signed(object? value, bool negative)
    {
        RequireDefined(value, null);
        if (!Arithmetic.IsNumber(value))
        {
            throw TemplateError.Type(
                $"bad operand type for unary {(negative ? '-' : '+')}: '{PythonTypes.Name(value)}'"
            );
        }
        if (negative)
            return Arithmetic.Negate(value);
        return value is bool ? Arithmetic.Integer(Arithmetic.Big(value)) : value;
    }

    private static void RequireDefined(object? a, object? b)
    {
        if ((a as Undefined ?? b as Undefined) is { } undefined)
            throw TemplateError.Of(undefined);
    }

    private static object? Repeat(object? value, BigInteger times, Budget budget)
    {
        int count = (int)BigInteger.Min(BigInteger.Max(times, 0), int.MaxValue);
        switch (value)
        {
            case string text:
                return RepeatText(text, count, budget);
            case Markup markup:
                return new Markup(RepeatText(markup.Text, count, budget));
            default:
                var items = (IReadOnlyList<object?>)value!;
                if (items.Count == 0)
                    count = 0;
                budget.Items((long)items.Count * count);
                IEnumerable<object?> all = Enumerable.Repeat(items, count).SelectMany(part => part);
                return value is object?[] ? all.ToArray() : new List<object?>(all);
        }
    }

    private static string RepeatText(string text, int count, Budget budget)
    {
        if (text.Length == 0)
            return "";
        budget.Text((long)text.Length * count);
        return string.Concat(Enumerable.Repeat(text, count));
    }

    private static object? Escaped(object? values, Budget budget) =>
        values switch
        {
            string text => Markup.Escape(text, budget),
            object?[] tuple => tuple.Select(item => Escaped(item, budget)).ToArray(),
            _ => values,
        };

    private static TemplateError Unsupported(string sign, object? a, object? b) =>
        TemplateError.Type(
            $"unsupported operand type(s) for {sign}: '{PythonTypes.Name(a)}' and '{PythonTypes.Name(b)}'"
        );
}
