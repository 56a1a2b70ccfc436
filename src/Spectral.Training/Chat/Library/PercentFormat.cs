using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's <c>text % values</c>.</summary>
internal static partial class PercentFormat
{
    /// <summary>Fills in the directives of a format.</summary>
    /// <param name="format">The format, with directives such as %s.</param>
    /// <param name="values">A tuple of values, one value, or a dict for directives such as %(name)s.</param>
    /// <param name="budget">The budget of the rendering.</param>
    /// <exception cref="TemplateError">Directives and values do not fit.</exception>
    public static string Format(string format, object? values, Budget budget)
    {
        object?[] all = values as object?[] ?? [values];
        int next = 0;
        bool isNamed = false;
        var builder = new StringBuilder();
        int start = 0;
        for (int at; (at = format.IndexOf('%', start)) >= 0; )
        {
            builder.Append(format, start, at - start);
            Match match = Directive().Match(format, at);
            if (!match.Success)
                throw TemplateError.Value("incomplete format");
            start = at + match.Length;
            char kind = match.Groups["type"].Value[0];
            if (kind == '%')
            {
                builder.Append('%');
                continue;
            }
            int width = Size(match.Groups["width"], 0);
            int precision = Size(match.Groups["precision"], match.Groups["point"].Success ? 0 : -1);
            object? value;
            if (match.Groups["name"].Success)
            {
                isNamed = true;
                value = Named(match.Groups["name"].Value, values);
            }
            else
            {
                value = Next();
            }
            builder.Append(One(value, kind, match.Groups["flags"].Value, width, precision, at, budget));
            budget.Text(builder.Length);
        }
        builder.Append(format, start, format.Length - start);
        // What could be looked up by name may be left over, as a list could in Python.
        bool mayBeLeft = values is Mapping or List<object?> or IntegerRange or Undefined;
        if (!isNamed && next < all.Length && !mayBeLeft)
            throw TemplateError.Type("not all arguments converted during string formatting");
        return builder.ToString();

        object? Next() =>
            next < all.Length ? all[next++] : throw TemplateError.Type("not enough arguments for format string");

        int Size(Group group, int absent)
        {
            if (!group.Success || group.Length == 0)
                return absent;
            if (group.Value == "*")
            {
                return Next() is long size && Math.Abs(size) <= Budget.MaximumText
                    ? (int)size
                    : throw TemplateError.Type("* wants int");
            }
            return int.TryParse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                ? number
                : throw TemplateError.Value("width too big");
        }
    }

    private static object? Named(string name, object? values)
    {
        if (values is not Mapping mapping)
            throw TemplateError.Type("format requires a mapping");
        return mapping.TryGet(name, out object? value)
            ? value
            : throw new TemplateError("KeyError", PythonText.Quote(name));
    }

    private static string One(object? value, char kind, string flags, int width, int precision, int at, Budget budget)
    {
        bool left = flags.Contains('-') || width < 0;
        width = Math.Abs(width);
        if (kind is 's' or 'r' or 'a' or 'c')
        {
            string text = kind switch
            {
                'c' when value is long => FormatSpec.Digits(value, "c", -1, false, budget, out _),
                'r' or 'a' => PythonText.Repr(value, budget),
                _ => PythonText.Str(value, budget),
            };
            if (precision >= 0 && kind != 'c')
                text = CodePoints.Slice(text, 0, Math.Min(precision, CodePoints.Count(text)));
            return TextMethods.Justify(text, width, " ", left ? 'l' : 'r', budget);
        }
        if (!"diuoxXeEfFgG".Contains(kind))
        {
            throw TemplateError.Value($"unsupported format character '{kind}' (0x{(int)kind:x}) at index {at + 1}");
        }

        if (!Arithmetic.IsNumber(value))
        {
            throw TemplateError.Type(
                kind is 'd' or 'i' or 'u'
                    ? $"%{kind} format: a real number is required, not {PythonTypes.Name(value)}"
                    : "must be real number, not " + PythonTypes.Name(value)
            );
        }

        if (kind is 'd' or 'i' or 'u')
        {
            value = value is double real ? Arithmetic.Truncate(real) : value;
            kind = 'd';
        }
        string digits = FormatSpec.Digits(
            value,
            kind.ToString(),
            kind == 'd' ? -1 : precision,
            flags.Contains('#'),
            budget,
            out bool negative
        );
        if (kind == 'd' && precision > digits.Length)
            digits = digits.PadLeft(precision, '0');
        string sign = (negative, flags.Contains('+'), flags.Contains(' ')) switch
        {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        return (left, flags.Contains('0')) switch
        {
            (true, _) => TextMethods.Justify(sign + digits, width, " ", 'l', budget),
            (_, true) => sign + TextMethods.Justify(digits, width - sign.Length, "0", 'r', budget),
            _ => TextMethods.Justify(sign + digits, width, " ", 'r', budget),
        };
    }

    [GeneratedRegex(
        @"\G%(\((?<name>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>\*|\d*)"
            + @"((?<point>\.)(?<precision>\*|\d*))?[hlL]?(?<type>[\s\S])",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Directive();
}
