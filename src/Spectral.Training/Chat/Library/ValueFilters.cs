using System.Globalization;
using System.Numerics;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Filters on single values: defaults, numbers, JSON, attributes.</summary>
internal static class ValueFilters
{
    private static readonly string[] DecimalUnits = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

    /// <summary>The filters by name.</summary>
    public static readonly IReadOnlyDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["default"] = Default,
        ["d"] = Default,
        ["length"] = TextFilters.Plain("length", (value, _) => Sequences.Length(value)),
        ["count"] = TextFilters.Plain("count", (value, _) => Sequences.Length(value)),
        ["string"] = TextFilters.Plain(
            "string",
            (value, rendering) => value as Markup ?? (object)PythonText.Str(value, rendering.Budget)
        ),
        ["tojson"] = ToJson,
        ["int"] = Int,
        ["float"] = Float,
        ["abs"] = TextFilters.Plain("abs", (value, _) => Abs(value)),
        ["round"] = Round,
        ["attr"] = Attr,
        ["filesizeformat"] = FileSize,
        ["pprint"] = TextFilters.Plain("pprint", (value, rendering) => PrettyText.Format(value, rendering.Budget)),
    };

    private static object? Default(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("default", 0, "default_value", "boolean");
        bool replacesFalse = given[1] != Arguments.Absent && Sequences.IsTrue(given[1]);
        if (value is not Undefined && !(replacesFalse && !Sequences.IsTrue(value)))
            return value;
        return given[0] == Arguments.Absent ? "" : given[0];
    }

    private static object ToJson(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        string? indent = given[1] switch
        {
            null => null,
            string text => text,
            Markup markup => markup.Text,
            long or bool => Spaces((long)Arithmetic.Big(given[1])),
            var absent when absent == Arguments.Absent => null,
            _ => throw TemplateError.Type($"can't multiply sequence by non-int of type '{PythonTypes.Name(given[1])}'"),
        };
        string[] separators = [indent is null ? ", " : ",", ": "];
        if (given[2] is not null && given[2] != Arguments.Absent)
        {
            separators = [.. Sequences.List(given[2], rendering.Budget).Select(TextMethods.Text)];
            if (separators.Length != 2)
                throw TemplateError.Value($"{separators.Length} separators, expected 2");
        }
        PythonJson json = new(
            IsGiven(given[0]),
            indent,
            separators[0],
            separators[1],
            IsGiven(given[3]),
            rendering.Budget
        );
        return json.Write(value);

        string Spaces(long count)
        {
            rendering.Budget.Text(count);
            return new string(' ', (int)Math.Max(0, count));
        }
    }

    private static bool IsGiven(object? flag) => flag != Arguments.Absent && Sequences.IsTrue(flag);

    private static object? Int(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("int", 0, "default", "base");
        object? otherwise = given[0] == Arguments.Absent ? 0L : given[0];
        if (value is Undefined undefined)
            throw TemplateError.Of(undefined);
        string? text = (value as Markup)?.Text ?? value as string;
        if (text is not null)
        {
            int radix = given[1] is long wanted ? (int)Math.Clamp(wanted, -1, 99) : 10;
            if (NumberText.Integer(text, radix) is { } integer)
                return Arithmetic.Integer(integer);
            return NumberText.Float(text) is { } real && double.IsFinite(real) ? Arithmetic.Truncate(real) : otherwise;
        }
        return value switch
        {
            double real => double.IsNaN(real) ? otherwise : Arithmetic.Truncate(real),
            _ when Arithmetic.IsInteger(value) => Arithmetic.Integer(Arithmetic.Big(value)),
            _ => otherwise,
        };
    }

    private static object? Float(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("float", 0, "default");
        object? otherwise = given[0] == Arguments.Absent ? 0.0 : given[0];
        if (value is Undefined undefined)
            throw TemplateError.Of(undefined);
        if (Arithmetic.IsNumber(value))
            return Arithmetic.Float(value);
        string? text = (value as Markup)?.Text ?? value as string;
        return text is not null && NumberText.Float(text) is { } number ? number : otherwise;
    }

    private static object Abs(object? value)
    {
        if (value is Undefined undefined)
            throw TemplateError.Of(undefined);
        if (value is double number)
            return Math.Abs(number);
        return Arithmetic.IsNumber(value)
            ? Arithmetic.Integer(BigInteger.Abs(Arithmetic.Big(value)))
            : throw TemplateError.Type($"bad operand type for abs(): '{PythonTypes.Name(value)}'");
    }

    private static object Round(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("round", 0, "precision", "method");
        int places = given[0] is long wanted ? (int)Math.Clamp(wanted, -400, 400) : 0;
        string method = given[1] as string ?? "common";
        if (method is not ("common" or "ceil" or "floor"))
            throw TemplateError.Argument("method must be common, ceil or floor");
        if (value is Undefined undefined)
            throw TemplateError.Of(undefined);
        if (!Arithmetic.IsNumber(value))
            throw TemplateError.Type($"type {PythonTypes.Name(value)} doesn't define __round__ method");
        if (method != "common")
        {
            object power = Arithmetic.Power(10L, (long)places);
            double scaled = Arithmetic.Float(Arithmetic.Multiply(value, power));
            object whole = Arithmetic.Truncate(method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled));
            return Arithmetic.Divide(whole, power);
        }
        if (value is double real)
            return double.IsFinite(real) ? Decimals.Round(real, places) : real;
        BigInteger integer = Arithmetic.Big(value);
        return Arithmetic.Integer(places < 0 ? Decimals.Round(integer, -places) : integer);
    }

    private static object? Attr(object? value, Arguments arguments, Rendering rendering)
    {
        string name = TextMethods.Text(arguments.Bind("attr", 1, "name")[0]);
        return Members.TryAttribute(value, name, out object? attribute) ? attribute : Undefined.Member(value, name);
    }

    private static object FileSize(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("filesizeformat", 0, "binary");
        double size = Arithmetic.IsNumber(value)
            ? Arithmetic.Float(value)
            : NumberText.Float(PythonText.Str(value, rendering.Budget))
                ?? throw TemplateError.Value("could not convert the value to a number of bytes");
        bool isBinary = IsGiven(given[0]);
        double step = isBinary ? 1024 : 1000;
        if (size == 1)
            return "1 Byte";
        if (size < step)
            return ((long)size).ToString(CultureInfo.InvariantCulture) + " Bytes";
        double unit = step;
        int at = 0;
        for (; at < DecimalUnits.Length - 1 && size >= unit * step; at++)
            unit *= step;
        string name = isBinary ? char.ToUpperInvariant(DecimalUnits[at][0]) + "iB" : DecimalUnits[at];
        return Decimals.Fixed(size / unit, 1) + " " + name;
    }
}
