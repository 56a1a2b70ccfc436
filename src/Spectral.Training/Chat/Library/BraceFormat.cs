using System.Globalization;
using System.Text;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's <c>str.format</c>.</summary>
internal static class BraceFormat
{
    private const int MaximumDepth = 2;

    // Instead of the next field's number, where the format numbers its fields itself.
    private const int Numbered = -1;

    /// <summary>Fills in the fields of a format.</summary>
    public static string Format(string format, Arguments arguments, Rendering rendering)
    {
        int next = 0;
        return Fill(format, Field, rendering, MaximumDepth, ref next);

        object? Field(string name)
        {
            if (long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long index))
            {
                return index < arguments.Positional.Length
                    ? arguments.Positional[index]
                    : throw new TemplateError(
                        "IndexError",
                        $"Replacement index {index} out of range for positional args tuple"
                    );
            }
            foreach ((string key, object? value) in arguments.Named)
            {
                if (key == name)
                    return value;
            }
            throw new TemplateError("KeyError", PythonText.Quote(name));
        }
    }

    /// <summary>Fills in the fields of a format from a mapping.</summary>
    public static string FormatMap(string format, object? values, Rendering rendering)
    {
        int next = 0;
        return Fill(
            format,
            name =>
                values is Mapping mapping && mapping.TryGet(name, out object? value)
                    ? value
                    : throw new TemplateError("KeyError", PythonText.Quote(name)),
            rendering,
            MaximumDepth,
            ref next
        );
    }

    private static string Fill(string format, Func<string, object?> field, Rendering rendering, int depth, ref int next)
    {
        if (depth == 0)
            throw TemplateError.Value("Max string recursion exceeded");
        var builder = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            char c = format[i];
            if (c is '{' or '}' && i + 1 < format.Length && format[i + 1] == c)
            {
                builder.Append(c);
                i++;
                continue;
            }
            if (c == '}')
                throw TemplateError.Value("Single '}' encountered in format string");
            if (c != '{')
            {
                builder.Append(c);
                continue;
            }
            int end = Closing(format, i);
            builder.Append(Replacement(format[(i + 1)..end], field, rendering, depth, ref next));
            rendering.Budget.Text(builder.Length);
            i = end;
        }
        return builder.ToString();
    }

    private static int Closing(string format, int open)
    {
        int depth = 0;
        for (int i = open; i < format.Length; i++)
        {
            if (format[i] == '{')
                depth++;
            else if (format[i] == '}' && --depth == 0)
                return i;
        }
        throw TemplateError.Value("expected '}' before end of string");
    }

    private static string Replacement(
        string body,
        Func<string, object?> field,
        Rendering rendering,
        int depth,
        ref int next
    )
    {
        int colon = body.IndexOf(':');
        string head = colon < 0 ? body : body[..colon];
        string spec = colon < 0 ? "" : body[(colon + 1)..];
        int mark = head.IndexOf('!');
        string conversion = mark < 0 ? "" : head[(mark + 1)..];
        string path = mark < 0 ? head : head[..mark];
        int end = path.AsSpan().IndexOfAny('.', '[') is >= 0 and var found ? found : path.Length;
        string name = path[..end];
        if (name.Length == 0)
            name = next >= 0 ? (next++).ToString(CultureInfo.InvariantCulture) : throw Switched();
        else if (name.All(char.IsAsciiDigit))
            next = next > 0 ? throw Switched() : Numbered;
        object? value = Follow(field(name), path[end..]);
        if (spec.Contains('{'))
            spec = Fill(spec, field, rendering, depth - 1, ref next);
        value = conversion switch
        {
            "" => value,
            "s" => PythonText.Str(value, rendering.Budget),
            "r" => PythonText.Repr(value, rendering.Budget),
            _ => throw TemplateError.Value($"Unknown conversion specifier '{conversion}'"),
        };
        return FormatSpec.Format(value, spec, rendering.Budget);
    }

    private static TemplateError Switched() =>
        TemplateError.Value("cannot switch between manual field specification and automatic field numbering");

    private static object? Follow(object? value, string path)
    {
        while (path.Length > 0)
        {
            bool isAttribute = path[0] == '.';
            int end = isAttribute ? path.AsSpan(1).IndexOfAny('.', '[') + 1 : path.IndexOf(']');
            if (isAttribute && end == 0)
                end = path.Length;
            if (end < 0)
                throw TemplateError.Value("Missing ']' in format string");
            string name = path[1..end];
            bool isIndex = long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long index);
            value = (isAttribute, isIndex) switch
            {
                (true, _) => Members.Attribute(value, name),
                (false, true) => Members.Item(value, index),
                _ => Members.Item(value, name),
            };
            path = path[(isAttribute ? end : end + 1)..];
        }
        return value;
    }
}
