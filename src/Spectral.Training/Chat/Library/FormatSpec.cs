using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's format specifications, such as <c>&gt;8.2f</c>, and the numbers that <c>%</c> formats.</summary>
internal static partial class FormatSpec
{
    private const int MaximumPrecision = 1000;

    /// <summary>Formats a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="spec">The specification, without the colon.</param>
    /// <param name="budget">The budget of the rendering.</param>
    /// <exception cref="TemplateError">The type of the value does not have the specification.</exception>
    public static string Format(object? value, string spec, Budget budget)
    {
        if (spec.Length == 0)
            return PythonText.Str(value, budget);
        Match match = Parts().Match(spec);
        if (!match.Success)
            throw TemplateError.Value("Invalid format specifier");
        string kind = match.Groups["type"].Value;
        string align = match.Groups["align"].Value;
        string fill = match.Groups["fill"].Success ? match.Groups["fill"].Value : " ";
        int width = Number(match.Groups["width"], 0);
        int precision = Number(match.Groups["precision"], -1);
        if (match.Groups["zero"].Length > 0 && align.Length == 0)
            (fill, align) = ("0", "=");
        if (value is not (long or BigInteger or double) && !(value is bool && kind.Length > 0 && kind != "s"))
        {
            if (value is not (string or Markup or bool))
            {
                throw TemplateError.Type($"unsupported format string passed to {PythonTypes.Name(value)}.__format__");
            }

            if (kind is not ("" or "s"))
                throw TemplateError.Value($"Unknown format code '{kind}' for object of type 'str'");
            string text = PythonText.Str(value, budget);
            if (precision >= 0)
                text = CodePoints.Slice(text, 0, Math.Min(precision, CodePoints.Count(text)));
            return Align(text, "", width, fill, align.Length == 0 || align == "=" ? "<" : align, budget);
        }
        string digits = Digits(value, kind, precision, match.Groups["alternate"].Length > 0, budget, out bool negative);
        string group = match.Groups["group"].Value;
        if (group.Length > 0)
            digits = Grouped(digits, group);
        string positive = match.Groups["sign"].Value is "+" or " " ? match.Groups["sign"].Value : "";
        string sign = negative ? "-" : positive;
        return Align(digits, sign, width, fill, align.Length == 0 ? ">" : align, budget);
    }

    /// <summary>Returns the digits of a number without its sign.</summary>
    /// <param name="value">The number.</param>
    /// <param name="kind">The type of the specification, such as d or f.</param>
    /// <param name="precision">The precision; −1: the default.</param>
    /// <param name="alternate">Whether a prefix such as 0x is wanted.</param>
    /// <param name="budget">The budget of the rendering.</param>
    /// <param name="negative">Whether the number is negative.</param>
    public static string Digits(
        object? value,
        string kind,
        int precision,
        bool alternate,
        Budget budget,
        out bool negative
    )
    {
        budget.Text(precision);
        if (precision > MaximumPrecision)
            throw TemplateError.Value($"a precision of {precision}, expected at most {MaximumPrecision}");
        bool isWhole = kind is "d" or "x" or "X" or "o" or "b" or "c";
        if (isWhole && value is double)
            throw TemplateError.Value($"Unknown format code '{kind}' for object of type 'float'");
        if (isWhole || (value is not double && kind is "" or "n"))
        {
            BigInteger number = Arithmetic.Big(value);
            negative = number.Sign < 0;
            return Whole(BigInteger.Abs(number), kind, alternate);
        }
        double real = Arithmetic.Float(value);
        negative = double.IsNegative(real) && !double.IsNaN(real);
        return Real(Math.Abs(real), kind, precision);
    }

    private static string Whole(BigInteger number, string kind, bool alternate) =>
        kind switch
        {
            "x" => (alternate ? "0x" : "") + Hexadecimal(number),
            "X" => (alternate ? "0X" : "") + Hexadecimal(number).ToUpperInvariant(),
            "o" => (alternate ? "0o" : "") + Radix(number, 3),
            "b" => (alternate ? "0b" : "") + Radix(number, 1),
            "c" when System.Text.Rune.IsValid((int)BigInteger.Min(number, int.MaxValue)) => char.ConvertFromUtf32(
                (int)number
            ),
            "c" => throw new TemplateError("OverflowError", "%c arg not in range(0x110000)"),
            _ => number.ToString(CultureInfo.InvariantCulture),
        };

    private static string Real(double real, string kind, int precision)
    {
        if (!double.IsFinite(real))
        {
            string name = double.IsNaN(real) ? "nan" : "inf";
            return kind is "F" or "E" or "G" ? name.ToUpperInvariant() : name + (kind == "%" ? "%" : "");
        }
        switch (kind)
        {
            case "f" or "F":
                return Decimals.Fixed(real, precision < 0 ? 6 : precision);
            case "%":
                return Decimals.Fixed(100 * real, precision < 0 ? 6 : precision) + "%";
            case "e" or "E":
                return Scientific(real, precision < 0 ? 6 : precision, kind);
            case "" when precision < 0:
                return PythonText.OfFloat(real);
            default:
                int digits = precision < 0 ? 6 : Math.Max(1, precision);
                string scientific = Scientific(real, digits - 1, kind == "G" ? "E" : "e");
                int mark = scientific.AsSpan().IndexOfAny('e', 'E');
                int exponent = int.Parse(scientific.AsSpan(mark + 1), CultureInfo.InvariantCulture);
                if (exponent >= -4 && exponent < digits)
                {
                    string text = Trimmed(Decimals.Fixed(real, digits - 1 - exponent));
                    return kind.Length == 0 && !text.Contains('.') ? text + ".0" : text;
                }
                return Trimmed(scientific[..mark]) + scientific[mark..];
        }
    }

    private static string Trimmed(string digits) => digits.Contains('.') ? digits.TrimEnd('0').TrimEnd('.') : digits;

    private static string Scientific(double real, int precision, string kind)
    {
        (string digits, int exponent) = Decimals.Scientific(real, precision);
        return $"{digits}{kind}{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }

    private static string Grouped(string digits, string separator)
    {
        int end = digits.AsSpan().IndexOfAny('.', 'e') is >= 0 and var found ? found : digits.Length;
        string text = digits[..end];
        for (int at = end - 3; at > 0; at -= 3)
            text = text.Insert(at, separator);
        return text + digits[end..];
    }

    private static string Align(string text, string sign, int width, string fill, string align, Budget budget) =>
        align switch
        {
            "=" => sign + TextMethods.Justify(text, width - sign.Length, fill, 'r', budget),
            "<" => TextMethods.Justify(sign + text, width, fill, 'l', budget),
            "^" => Centred(sign + text, width, fill, budget),
            _ => TextMethods.Justify(sign + text, width, fill, 'r', budget),
        };

    private static string Centred(string text, int width, string fill, Budget budget)
    {
        int length = CodePoints.Count(text);
        int left = Math.Max(0, width - length) / 2;
        string padded = TextMethods.Justify(text, length + left, fill, 'r', budget);
        return TextMethods.Justify(padded, width, fill, 'l', budget);
    }

    private static string Hexadecimal(BigInteger number) =>
        number.IsZero ? "0" : number.ToString("x", CultureInfo.InvariantCulture).TrimStart('0');

    private static string Radix(BigInteger number, int bits)
    {
        if (number.IsZero)
            return "0";
        List<char> digits = [];
        for (; !number.IsZero; number >>= bits)
            digits.Add((char)('0' + (int)(number & ((1 << bits) - 1))));
        digits.Reverse();
        return new string([.. digits]);
    }

    private static int Number(Group group, int absent)
    {
        if (!group.Success)
            return absent;
        return int.TryParse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw TemplateError.Value("Too many decimal digits in format string");
    }

    [GeneratedRegex(
        @"^((?<fill>[\s\S])?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alternate>#?)(?<zero>0?)(?<width>\d+)?(?<group>[,_]?)"
            + @"(\.(?<precision>\d+))?(?<type>[bcdeEfFgGnosxX%]?)$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Parts();
}
