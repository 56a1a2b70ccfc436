using System.Globalization;
using System.Numerics;
using System.Text;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's <c>str</c> and <c>repr</c> of values.</summary>
internal static class PythonText
{
    /// <summary>Returns <c>str(value)</c>.</summary>
    public static string Str(object? value, Budget budget) =>
        value switch
        {
            string text => text,
            Markup markup => markup.Text,
            Undefined => "",
            _ => Repr(value, budget),
        };

    /// <summary>Returns <c>repr(value)</c>.</summary>
    public static string Repr(object? value, Budget budget)
    {
        switch (value)
        {
            case string text:
                return Quote(text);
            case long number:
                return number.ToString(CultureInfo.InvariantCulture);
        }
        var builder = new StringBuilder();
        Append(builder, value, budget);
        return builder.ToString();
    }

    /// <summary>Returns the text as a Python literal.</summary>
    public static string Quote(string text)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        StringBuilder builder = new StringBuilder(text.Length + 2).Append(quote);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c == quote || c == '\\')
                builder.Append('\\').Append(c);
            else if (c is >= ' ' and < '\x7f')
                builder.Append(c);
            else
                i += AppendEscaped(builder, text, i) - 1;
        }
        return builder.Append(quote).ToString();
    }

    /// <summary>Returns the shortest text that reads back as the number, in Python's form.</summary>
    public static string OfFloat(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        string sign = double.IsNegative(value) ? "-" : "";
        string digits = new string([.. shortest.TakeWhile(c => c != 'E').Where(char.IsAsciiDigit)])
            .TrimStart('0')
            .TrimEnd('0');
        if (digits.Length == 0)
            return sign + "0.0";
        int exponent = Exponent(shortest);
        if (exponent is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }
        if (exponent < 0)
            return sign + "0." + new string('0', -exponent - 1) + digits;
        if (digits.Length <= exponent + 1)
            return sign + digits.PadRight(exponent + 1, '0') + ".0";
        return sign + digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
    }

    // The power of ten of the first digit other than 0, of a number as .NET writes it.
    private static int Exponent(string shortest)
    {
        int mark = shortest.IndexOf('E');
        int power = mark < 0 ? 0 : int.Parse(shortest.AsSpan(mark + 1), CultureInfo.InvariantCulture);
        string mantissa = (mark < 0 ? shortest : shortest[..mark]).TrimStart('-');
        int point = mantissa.IndexOf('.');
        int whole = point < 0 ? mantissa.Length : point;
        int first = mantissa.AsSpan().IndexOfAnyInRange('1', '9');
        return power + (first < whole ? whole - 1 - first : whole - first);
    }

    private static void Append(StringBuilder builder, object? value, Budget budget)
    {
        budget.Text(builder.Length > Budget.MaximumText ? builder.Length : 0);
        switch (value)
        {
            case null:
                builder.Append("None");
                break;
            case bool truth:
                builder.Append(truth ? "True" : "False");
                break;
            case long number:
                builder.Append(number);
                break;
            case BigInteger number:
                builder.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case double number:
                builder.Append(OfFloat(number));
                break;
            case string text:
                builder.Append(Quote(text));
                break;
            case Markup markup:
                builder.Append("Markup(").Append(Quote(markup.Text)).Append(')');
                break;
            case Undefined:
                builder.Append("Undefined");
                break;
            case List<object?> list:
                AppendItems(builder.Append('['), list, budget);
                builder.Append(']');
                break;
            case object?[] tuple:
                AppendItems(builder.Append('('), tuple, budget);
                builder.Append(tuple.Length == 1 ? ",)" : ")");
                break;
            case GroupTuple group:
                Append(builder, group.Items, budget);
                break;
            case Mapping mapping:
                AppendEntries(builder, mapping, budget);
                break;
            case MappingView view:
                AppendItems(builder.Append(view.TypeName).Append("(["), view.Items, budget);
                builder.Append("])");
                break;
            case IntegerRange range:
                builder.Append(CultureInfo.InvariantCulture, $"range({range.Start}, {range.Stop}");
                builder.Append(range.Step == 1 ? ")" : $", {range.Step})");
                break;
            case NamespaceValue space:
                AppendEntries(builder.Append("<Namespace "), space.Attributes, budget);
                builder.Append('>');
                break;
            case Callable callable:
                builder.Append(callable.Text);
                break;
            default:
                builder.Append($"<{PythonTypes.Name(value)} object>");
                break;
        }
    }

    private static void AppendItems(StringBuilder builder, IEnumerable<object?> items, Budget budget)
    {
        budget.Enter();
        bool isFirst = true;
        foreach (object? item in items)
        {
            if (!isFirst)
                builder.Append(", ");
            isFirst = false;
            Append(builder, item, budget);
        }
        budget.Leave();
    }

    private static void AppendEntries(StringBuilder builder, Mapping mapping, Budget budget)
    {
        budget.Enter();
        builder.Append('{');
        bool isFirst = true;
        foreach ((object? key, object? value) in mapping.Entries)
        {
            if (!isFirst)
                builder.Append(", ");
            isFirst = false;
            Append(builder, key, budget);
            builder.Append(": ");
            Append(builder, value, budget);
        }
        builder.Append('}');
        budget.Leave();
    }

    // Returns the number of UTF-16 units of the character.
    private static int AppendEscaped(StringBuilder builder, string text, int at)
    {
        int used = 1;
        int code = text[at];
        if (char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
        {
            used = 2;
            code = char.ConvertToUtf32(text, at);
        }
        UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(code);
        bool isPrintable =
            category
            is not (
                UnicodeCategory.Control
                or UnicodeCategory.Format
                or UnicodeCategory.Surrogate
                or UnicodeCategory.PrivateUse
                or UnicodeCategory.OtherNotAssigned
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.SpaceSeparator
            );
        if (isPrintable)
        {
            builder.Append(text, at, used);
        }
        else
        {
            builder.Append(
                code switch
                {
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    <= 0xff => $"\\x{code:x2}",
                    <= 0xffff => $"\\u{code:x4}",
                    _ => $"\\U{code:x8}",
                }
            );
        }
        return used;
    }
}
