using System.Text;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Filters on texts.</summary>
internal static class TextFilters
{
    private const int TruncationLeeway = 5;

    /// <summary>The filters by name.</summary>
    public static readonly IReadOnlyDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["upper"] = Plain("upper", (value, rendering) => On(value, CaseMapping.Upper, rendering)),
        ["lower"] = Plain("lower", (value, rendering) => On(value, CaseMapping.Lower, rendering)),
        ["capitalize"] = Plain("capitalize", (value, rendering) => On(value, CaseMapping.Capitalize, rendering)),
        ["title"] = Plain("title", (value, rendering) => Title(PythonText.Str(value, rendering.Budget))),
        ["trim"] = Trim,
        ["replace"] = Replace,
        ["indent"] = Indent,
        ["center"] = Center,
        ["truncate"] = Truncate,
        ["wordcount"] = Plain("wordcount", (value, rendering) => WordCount(PythonText.Str(value, rendering.Budget))),
        ["wordwrap"] = WordWrap,
        ["format"] = Format,
    };

    /// <summary>Makes a filter that takes no arguments.</summary>
    public static Filter Plain(string name, Func<object?, Rendering, object?> body) =>
        (value, arguments, rendering) =>
        {
            arguments.Bind(name, 0);
            return body(value, rendering);
        };

    private static object On(object? value, Func<string, string> change, Rendering rendering)
    {
        string text = change(PythonText.Str(value, rendering.Budget));
        rendering.Budget.Text(text.Length);
        return value is Markup ? new Markup(text) : text;
    }

    private static object Trim(object? value, Arguments arguments, Rendering rendering)
    {
        object? given = arguments.Bind("trim", 0, "chars")[0];
        string? characters = given is null || given == Arguments.Absent ? null : TextMethods.Text(given);
        return On(value, text => Spaces.Strip(text, characters, true, true), rendering);
    }

    // Words begin behind white space and the characters - ( { [ <, and go on in lower case.
    private static string Title(string text)
    {
        var builder = new StringBuilder(text.Length);
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && !Spaces.IsSpace(text[i]) && text[i] is not ('-' or '(' or '{' or '[' or '<'))
                continue;
            if (i > start)
            {
                int first = i - start > 1 && char.IsSurrogatePair(text[start], text[start + 1]) ? 2 : 1;
                builder.Append(CaseMapping.Upper(text.Substring(start, first)));
                builder.Append(CaseMapping.Lower(text[(start + first)..i]));
            }
            if (i < text.Length)
                builder.Append(text[i]);
            start = i + 1;
        }
        return builder.ToString();
    }

    private static object Replace(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("replace", 2, "old", "new", "count");
        Budget budget = rendering.Budget;
        long count = given[2] switch
        {
            long number => number,
            null => -1,
            var absent when absent == Arguments.Absent => -1,
            _ => throw TemplateError.Type($"'{PythonTypes.Name(given[2])}' object cannot be interpreted as an integer"),
        };
        return TextMethods.Replace(
            PythonText.Str(value, budget),
            PythonText.Str(given[0], budget),
            PythonText.Str(given[1], budget),
            count,
            budget
        );
    }

    private static object? Indent(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("indent", 0, "width", "first", "blank");
        Budget budget = rendering.Budget;
        string text = TextMethods.Text(Operators.Add(value, "\n", budget));
        string indention = given[0] switch
        {
            string prefix => prefix,
            Markup prefix => prefix.Text,
            var absent when absent == Arguments.Absent => "    ",
            _ => TextMethods.Text(Operators.Multiply(" ", given[0], budget)),
        };
        List<string> lines = Spaces.Lines(text, keepEnds: false);
        budget.Text(text.Length + (long)lines.Count * indention.Length);
        bool blank = given[2] != Arguments.Absent && Sequences.IsTrue(given[2]);
        bool first = given[1] != Arguments.Absent && Sequences.IsTrue(given[1]);
        string result = string.Join(
            '\n',
            lines.Select((line, i) => i > 0 && (blank || line.Length > 0) ? indention + line : line)
        );
        if (first)
            result = indention + result;
        return value is Markup ? new Markup(result) : result;
    }

    private static object Center(object? value, Arguments arguments, Rendering rendering)
    {
        object? width = arguments.Bind("center", 0, "width")[0];
        long wanted = width is long number ? number : 80;
        return On(value, text => TextMethods.Justify(text, wanted, " ", 'c', rendering.Budget), rendering);
    }

    private static object? Truncate(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("truncate", 0, "length", "killwords", "end", "leeway");
        long length = given[0] is long wanted ? wanted : 255;
        bool killsWords = given[1] != Arguments.Absent && Sequences.IsTrue(given[1]);
        string end = given[2] == Arguments.Absent ? "..." : TextMethods.Text(given[2]);
        long leeway = given[3] is long given3 ? given3 : TruncationLeeway;
        int ending = CodePoints.Count(end);
        if (length < ending)
            throw new TemplateError("AssertionError", $"expected length >= {ending}, got {length}");
        if (leeway < 0)
            throw new TemplateError("AssertionError", $"expected leeway >= 0, got {leeway}");
        if (Sequences.Length(value) <= length + leeway)
            return value;
        string kept = CodePoints.Slice(TextMethods.Text(value), 0, (int)(length - ending));
        if (!killsWords && kept.LastIndexOf(' ') is >= 0 and var space)
            kept = kept[..space];
        return kept + end;
    }

    private static long WordCount(string text)
    {
        long count = 0;
        bool inWord = false;
        for (int i = 0; i < text.Length; i++)
        {
            bool isWord = text[i] == '_' || TextKinds.IsAlphanumeric(text, i) || char.IsLowSurrogate(text[i]) && inWord;
            if (isWord && !inWord)
                count++;
            inWord = isWord;
        }
        return count;
    }

    private static object WordWrap(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("wordwrap", 0, "width", "break_long_words", "wrapstring", "break_on_hyphens");
        long width = given[0] is long wanted ? wanted : 79;
        if (width <= 0)
            throw TemplateError.Value($"invalid width {width} (must be > 0)");
        bool breaksWords = given[1] == Arguments.Absent || Sequences.IsTrue(given[1]);
        bool breaksHyphens = given[3] == Arguments.Absent || Sequences.IsTrue(given[3]);
        string joint = given[2] is string text ? text : "\n";
        string wrapped = string.Join(
            joint,
            Spaces
                .Lines(TextMethods.Text(value), keepEnds: false)
                .Select(line => string.Join(joint, LineWrapper.Wrap(line, width, breaksWords, breaksHyphens)))
        );
        rendering.Budget.Text(wrapped.Length);
        return wrapped;
    }

    private static object? Format(object? value, Arguments arguments, Rendering rendering)
    {
        if (arguments.Positional.Length > 0 && arguments.Named.Length > 0)
            throw TemplateError.Argument("can't handle positional and keyword arguments at the same time");
        object values = arguments.Positional;
        if (arguments.Named.Length > 0)
        {
            Mapping named = new();
            foreach ((string name, object? argument) in arguments.Named)
                named[name] = argument;
            values = named;
        }
        object format = value as Markup ?? (object)PythonText.Str(value, rendering.Budget);
        return Operators.Modulo(format, values, rendering.Budget);
    }
}
