using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>The methods of Python's str.</summary>
internal static class TextMethods
{
    private delegate object? Body(string text, object?[] values, Rendering rendering);

    private static readonly Dictionary<string, Method> All = new Method[]
    {
        new("upper", (text, _, _) => CaseMapping.Upper(text)),
        new("lower", (text, _, _) => CaseMapping.Lower(text)),
        new("title", (text, _, _) => CaseMapping.TitleWords(text)),
        new("capitalize", (text, _, _) => CaseMapping.Capitalize(text)),
        new("swapcase", (text, _, _) => CaseMapping.Swap(text)),
        new("casefold", (text, _, _) => CaseMapping.Fold(text)),
        new("strip", (text, values, _) => Strip(text, values, true, true), 0, "chars"),
        new("lstrip", (text, values, _) => Strip(text, values, true, false), 0, "chars"),
        new("rstrip", (text, values, _) => Strip(text, values, false, true), 0, "chars"),
        new("replace", Replace, 2, "old", "new", "count"),
        new("removeprefix", RemovePrefix, 1, "prefix"),
        new("removesuffix", RemoveSuffix, 1, "suffix"),
        new("split", (text, values, rendering) => Split(text, values, false, rendering), 0, "sep", "maxsplit"),
        new("rsplit", (text, values, rendering) => Split(text, values, true, rendering), 0, "sep", "maxsplit"),
        new("splitlines", SplitLines, 0, "keepends"),
        new("partition", (text, values, _) => Partition(text, Text(values[0]), false), 1, "sep"),
        new("rpartition", (text, values, _) => Partition(text, Text(values[0]), true), 1, "sep"),
        new("join", Join, 1, "iterable"),
        new("startswith", (text, values, _) => Affix(text, values, isPrefix: true), 1, "prefix", "start", "end"),
        new("endswith", (text, values, _) => Affix(text, values, isPrefix: false), 1, "suffix", "start", "end"),
        new("find", (text, values, _) => Find(text, values, false) ?? -1, 1, "sub", "start", "end"),
        new("rfind", (text, values, _) => Find(text, values, true) ?? -1, 1, "sub", "start", "end"),
        new("index", (text, values, _) => Find(text, values, false) ?? throw NotFound(), 1, "sub", "start", "end"),
        new("rindex", (text, values, _) => Find(text, values, true) ?? throw NotFound(), 1, "sub", "start", "end"),
        new("count", Count, 1, "sub", "start", "end"),
        new("center", (text, values, rendering) => Justify(text, values, 'c', rendering), 1, "width", "fillchar"),
        new("ljust", (text, values, rendering) => Justify(text, values, 'l', rendering), 1, "width", "fillchar"),
        new("rjust", (text, values, rendering) => Justify(text, values, 'r', rendering), 1, "width", "fillchar"),
        new("zfill", ZeroFill, 1, "width"),
        new("expandtabs", ExpandTabs, 0, "tabsize"),
        new("isalpha", (text, _, _) => Every(text, TextKinds.IsAlpha)),
        new("isalnum", (text, _, _) => Every(text, TextKinds.IsAlphanumeric)),
        new("isdigit", (text, _, _) => Every(text, TextKinds.IsDigit)),
        new("isdecimal", (text, _, _) => Every(text, TextKinds.IsDecimal)),
        new("isnumeric", (text, _, _) => Every(text, TextKinds.IsNumeric)),
        new("isspace", (text, _, _) => Every(text, (run, at) => Spaces.IsSpace(run[at]))),
        new("isascii", (text, _, _) => text.All(char.IsAscii)),
        new(
            "isprintable",
            (text, _, _) =>
                PythonText.Quote(text.Replace("\\", "").Replace("'", "")).Length
                == text.Replace("\\", "").Replace("'", "").Length + 2
        ),
        new("isupper", (text, _, _) => text.Any(char.IsUpper) && !text.Any(char.IsLower)),
        new("islower", (text, _, _) => text.Any(char.IsLower) && !text.Any(char.IsUpper)),
        new("istitle", (text, _, _) => text.Any(CaseMapping.IsCased) && CaseMapping.TitleWords(text) == text),
        new("isidentifier", (text, _, _) => TextKinds.IsIdentifier(text)),
    }.ToDictionary(method => method.Name);

    /// <summary>Finds a method of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="isMarkup">Whether it is HTML, so that what is joined to it is escaped.</param>
    /// <param name="name">The method's name.</param>
    /// <param name="method">The bound method.</param>
    public static bool TryGet(string text, bool isMarkup, string name, out object? method)
    {
        method = name switch
        {
            "format" => Bound(name, (arguments, rendering) => BraceFormat.Format(text, arguments, rendering)),
            "format_map" => CollectionMethods.Method(
                name,
                (values, rendering) => BraceFormat.FormatMap(text, values[0], rendering),
                1,
                "mapping"
            ),
            _ when All.TryGetValue(name, out Method? found) => Bound(
                name,
                (arguments, rendering) => Call(found, text, isMarkup, arguments, rendering)
            ),
            _ => null,
        };
        return method is not null;
    }

    /// <summary>Returns the text of an argument that must be one.</summary>
    /// <exception cref="TemplateError">It is something else.</exception>
    public static string Text(object? value) =>
        value switch
        {
            string text => text,
            Markup markup => markup.Text,
            _ => throw TemplateError.Type($"must be str, not {PythonTypes.Name(value)}"),
        };

    /// <summary>
    /// Replaces parts of a text, from the left, at most <paramref name="count"/> if that is not negative.
    /// </summary>
    public static string Replace(string text, string old, string fresh, long count, Budget budget)
    {
        if (count == 0 || old.Length > 0 && !text.Contains(old, StringComparison.Ordinal))
            return text;
        long found = old.Length == 0 ? CodePoints.Count(text) + 1 : Occurrences(text, old);
        if (count > 0)
            found = Math.Min(found, count);
        budget.Text(text.Length + found * (fresh.Length - old.Length));
        if (old.Length == 0)
        {
            object?[] all = [.. CodePoints.Of(text)];
            return string.Concat(
                Enumerable
                    .Range(0, all.Length + 1)
                    .Select(i => (i < found ? fresh : "") + (i < all.Length ? (string)all[i]! : ""))
            );
        }
        if (count < 0)
            return text.Replace(old, fresh, StringComparison.Ordinal);
        var builder = new System.Text.StringBuilder();
        int start = 0;
        for (; found > 0; found--)
        {
            int at = text.IndexOf(old, start, StringComparison.Ordinal);
            builder.Append(text, start, at - start).Append(fresh);
            start = at + old.Length;
        }
        return builder.Append(text, start, text.Length - start).ToString();
    }

    /// <summary>Pads a text to a width in code points.</summary>
    /// <param name="text">The text.</param>
    /// <param name="width">The width.</param>
    /// <param name="fill">The character to pad with.</param>
    /// <param name="side">Where the text goes: l, r or c.</param>
    /// <param name="budget">The budget of the rendering.</param>
    public static string Justify(string text, long width, string fill, char side, Budget budget)
    {
        long missing = width - CodePoints.Count(text);
        if (missing <= 0)
            return text;
        budget.Text(missing * fill.Length + text.Length);
        int left = side switch
        {
            'l' => 0,
            'r' => (int)missing,
            _ => (int)(missing / 2 + (missing & width & 1)),
        };
        return Repeated(fill, left) + text + Repeated(fill, (int)missing - left);
    }

    private static string Repeated(string text, int count) =>
        text.Length == 1 ? new string(text[0], count) : string.Concat(Enumerable.Repeat(text, count));

    private static Function Bound(string name, Func<Arguments, Rendering, object?> body) =>
        new(name, body, "builtin_function_or_method");

    private static object? Call(Method method, string text, bool isMarkup, Arguments arguments, Rendering rendering)
    {
        object?[] values = arguments.Bind(method.Name, method.Required, method.Parameters);
        if (isMarkup)
        {
            for (int i = 0; i < values.Length; i++)
            {
                if (values[i] is string plain)
                    values[i] = Markup.Escape(plain, rendering.Budget);
            }
        }
        rendering.Budget.Text(text.Length);
        object? result = method.Body(text, values, rendering);
        return isMarkup && result is string html ? new Markup(html) : result;
    }

    private static string Strip(string text, object?[] values, bool left, bool right)
    {
        object? characters = values[0];
        if (characters is null || characters == Arguments.Absent)
            return Spaces.Strip(text, null, left, right);
        return characters is string or Markup
            ? Spaces.Strip(text, Text(characters), left, right)
            : throw TemplateError.Type("strip arg must be None or str");
    }

    private static object Replace(string text, object?[] values, Rendering rendering) =>
        Replace(text, Text(values[0]), Text(values[1]), Integer(values[2], -1), rendering.Budget);

    private static object RemovePrefix(string text, object?[] values, Rendering rendering) =>
        text.StartsWith(Text(values[0]), StringComparison.Ordinal) ? text[Text(values[0]).Length..] : text;

    private static object RemoveSuffix(string text, object?[] values, Rendering rendering) =>
        text.EndsWith(Text(values[0]), StringComparison.Ordinal) ? text[..^Text(values[0]).Length] : text;

    private static object Split(string text, object?[] values, bool fromRight, Rendering rendering)
    {
        long most = Integer(values[1], -1);
        if (most < 0)
            most = int.MaxValue;
        List<string> parts =
            values[0] is null || values[0] == Arguments.Absent
                ? TextSplitter.AtSpaces(text, most, fromRight)
                : TextSplitter.At(text, Text(values[0]), most, fromRight);
        rendering.Budget.Items(parts.Count);
        return new List<object?>(parts);
    }

    private static object SplitLines(string text, object?[] values, Rendering rendering)
    {
        bool keepEnds = values[0] != Arguments.Absent && Sequences.IsTrue(values[0]);
        return new List<object?>(Spaces.Lines(text, keepEnds));
    }

    private static object?[] Partition(string text, string separator, bool fromRight)
    {
        if (separator.Length == 0)
            throw TemplateError.Value("empty separator");
        int at = fromRight
            ? text.LastIndexOf(separator, StringComparison.Ordinal)
            : text.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0)
            return fromRight ? ["", "", text] : [text, "", ""];
        return [text[..at], separator, text[(at + separator.Length)..]];
    }

    private static object Join(string text, object?[] values, Rendering rendering)
    {
        List<object?> items = Sequences.List(values[0], rendering.Budget);
        long length = 0;
        for (int i = 0; i < items.Count; i++)
        {
            if (items[i] is not (string or Markup))
            {
                throw TemplateError.Type(
                    $"sequence item {i}: expected str instance, {PythonTypes.Name(items[i])} found"
                );
            }
            length += Text(items[i]).Length + text.Length;
        }
        rendering.Budget.Text(length);
        return string.Join(text, items.Select(Text));
    }

    private static object Affix(string text, object?[] values, bool isPrefix)
    {
        string part = Part(text, values[1], values[2], out bool isBeyond);
        object?[] affixes = values[0] switch
        {
            object?[] tuple => tuple,
            string or Markup => [values[0]],
            _ => throw TemplateError.Type(
                $"{(isPrefix ? "startswith" : "endswith")} first arg must be str or a tuple of str, not "
                    + PythonTypes.Name(values[0])
            ),
        };
        return !isBeyond
            && affixes
                .Select(Text)
                .Any(affix =>
                    isPrefix
                        ? part.StartsWith(affix, StringComparison.Ordinal)
                        : part.EndsWith(affix, StringComparison.Ordinal)
                );
    }

    private static long? Find(string text, object?[] values, bool fromRight)
    {
        string part = Part(text, values[1], values[2], out bool isBeyond);
        string wanted = Text(values[0]);
        if (isBeyond)
            return null;
        int at = fromRight
            ? part.LastIndexOf(wanted, StringComparison.Ordinal)
            : part.IndexOf(wanted, StringComparison.Ordinal);
        return at < 0 ? null : CodePoints.Count(part[..at]) + Start(text, values[1]);
    }

    private static object Count(string text, object?[] values, Rendering rendering)
    {
        string part = Part(text, values[1], values[2], out bool isBeyond);
        string wanted = Text(values[0]);
        if (isBeyond)
            return 0L;
        return wanted.Length == 0 ? CodePoints.Count(part) + 1L : Occurrences(part, wanted);
    }

    private static long Occurrences(string text, string wanted)
    {
        long count = 0;
        for (int at = 0; (at = text.IndexOf(wanted, at, StringComparison.Ordinal)) >= 0; at += wanted.Length)
            count++;
        return count;
    }

    // text[start:end]; beyond if start is behind the end, where Python finds not even an empty text.
    private static string Part(string text, object? start, object? end, out bool isBeyond)
    {
        int length = CodePoints.Count(text);
        long from = Start(text, start);
        long to = Integer(end, length);
        to = Math.Clamp(to < 0 ? to + length : to, 0, length);
        isBeyond = from > to;
        return isBeyond ? "" : CodePoints.Slice(text, (int)from, (int)(to - from));
    }

    private static long Start(string text, object? start)
    {
        long from = Integer(start, 0);
        return from < 0 ? Math.Max(0, from + CodePoints.Count(text)) : from;
    }

    private static object Justify(string text, object?[] values, char side, Rendering rendering)
    {
        string fill = values[1] == Arguments.Absent ? " " : Text(values[1]);
        return CodePoints.Count(fill) == 1
            ? Justify(text, Integer(values[0], 0), fill, side, rendering.Budget)
            : throw TemplateError.Type("The fill character must be exactly one character long");
    }

    private static object ZeroFill(string text, object?[] values, Rendering rendering)
    {
        int sign = text is ['+' or '-', ..] ? 1 : 0;
        return text[..sign] + Justify(text[sign..], Integer(values[0], 0) - sign, "0", 'r', rendering.Budget);
    }

    private static object ExpandTabs(string text, object?[] values, Rendering rendering)
    {
        int size = (int)Math.Clamp(Integer(values[0], 8), 0, Budget.MaximumText);
        rendering.Budget.Text(text.Length + (long)size * Occurrences(text, "\t"));
        var builder = new System.Text.StringBuilder();
        int column = 0;
        foreach (char c in text)
        {
            int width = c == '\t' && size > 0 ? size - column % size : 0;
            if (c == '\t')
                builder.Append(' ', width);
            else
                builder.Append(c);
            column = c switch
            {
                '\n' or '\r' => 0,
                '\t' => column + width,
                _ => column + 1,
            };
        }
        return builder.ToString();
    }

    private static bool Every(string text, Func<string, int, bool> holds)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsLowSurrogate(text[i]) && !holds(text, i))
                return false;
        }
        return text.Length > 0;
    }

    private static long Integer(object? value, long absent) =>
        value switch
        {
            null => absent,
            long number => number,
            bool truth => truth ? 1 : 0,
            _ when value == Arguments.Absent => absent,
            _ => throw TemplateError.Type($"'{PythonTypes.Name(value)}' object cannot be interpreted as an integer"),
        };

    private static TemplateError NotFound() => TemplateError.Value("substring not found");

    private sealed record Method(string Name, Body Body, int Required = 0, params string[] Parameters);
}
