using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>Numbers and quoted texts in the code of a template.</summary>
internal static partial class Literals
{
    /// <summary>Reads a number.</summary>
    /// <param name="source">The template.</param>
    /// <param name="at">Where the number may begin; moved behind it.</param>
    /// <param name="number">The number.</param>
    public static bool TryNumber(string source, ref int at, out object? number)
    {
        number = null;
        if (!char.IsAsciiDigit(source[at]))
            return false;
        Match match = Float().Match(source, at);
        if (match.Success && (at == 0 || source[at - 1] != '.'))
        {
            number = double.Parse(match.Value.Replace("_", ""), CultureInfo.InvariantCulture);
            at += match.Length;
            return true;
        }
        match = Integer().Match(source, at);
        if (NumberText.Integer(match.Value, 0) is not { } integer)
            return false;
        number = Arithmetic.Integer(integer);
        at += match.Length;
        return true;
    }

    /// <summary>Reads a quoted text.</summary>
    /// <param name="source">The template.</param>
    /// <param name="at">Where its quote is; moved behind it.</param>
    /// <param name="place">Where that is, for messages.</param>
    /// <param name="text">The text.</param>
    /// <returns>Whether the text has an end.</returns>
    /// <exception cref="SyntaxError">An escape is malformed.</exception>
    public static bool TryText(string source, ref int at, Place place, out string? text)
    {
        char quote = source[at];
        int end = at + 1;
        bool isEscaped = false;
        while (end < source.Length && source[end] != quote)
        {
            isEscaped |= source[end] == '\\';
            end += source[end] == '\\' ? 2 : 1;
        }
        text = null;
        if (end >= source.Length)
            return false;
        string body = source[(at + 1)..end];
        text = isEscaped ? Unescaped(body, place) : body;
        at = end + 1;
        return true;
    }

    private static string Unescaped(string body, Place place)
    {
        var builder = new StringBuilder(body.Length);
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] != '\\' || i + 1 == body.Length)
            {
                builder.Append(body[i]);
                continue;
            }
            char c = body[++i];
            int digits = c switch
            {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            if (digits > 0)
            {
                AppendCode(builder, body, i + 1, digits, place);
                i += digits;
            }
            else if (c is >= '0' and <= '7')
            {
                int code = 0;
                int end = Math.Min(body.Length, i + 3);
                for (; i < end && body[i] is >= '0' and <= '7'; i++)
                    code = code * 8 + body[i] - '0';
                i--;
                builder.Append((char)code);
            }
            else
            {
                builder.Append(Simple(c));
            }
        }
        return builder.ToString();
    }

    private static string Simple(char c) =>
        c switch
        {
            '\n' => "",
            '\\' or '\'' or '"' => c.ToString(),
            'a' => "\a",
            'b' => "\b",
            'f' => "\f",
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            'v' => "\v",
            _ => "\\" + c,
        };

    private static void AppendCode(StringBuilder builder, string body, int at, int digits, Place place)
    {
        if (
            at + digits > body.Length
            || !int.TryParse(
                body.AsSpan(at, digits),
                NumberStyles.AllowHexSpecifier,
                CultureInfo.InvariantCulture,
                out int code
            )
        )
        {
            throw new SyntaxError(place, $"truncated escape in a text, expected {digits} hexadecimal digits");
        }

        if (code is < 0 or > 0x10ffff)
            throw new SyntaxError(place, "illegal Unicode character");
        if (code > 0xffff)
            builder.Append(char.ConvertFromUtf32(code));
        else
            builder.Append((char)code);
    }

    [GeneratedRegex(
        @"\G(\d+_)*\d+((\.(\d+_)*\d+)?e[+\-]?(\d+_)*\d+|\.(\d+_)*\d+)",
        RegexOptions.IgnoreCase | RegexOptions.ECMAScript
    )]
    private static partial Regex Float();

    [GeneratedRegex(
        @"\G(0b(_?[0-1])+|0o(_?[0-7])+|0x(_?[\da-f])+|[1-9](_?\d)*|0(_?0)*)",
        RegexOptions.IgnoreCase | RegexOptions.ECMAScript
    )]
    private static partial Regex Integer();
}
