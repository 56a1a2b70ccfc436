using System.Text;
using System.Text.RegularExpressions;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Filters for HTML and URLs.</summary>
internal static partial class HtmlFilters
{
    /// <summary>The filters by name.</summary>
    public static readonly IReadOnlyDictionary<string, Filter> All = new Dictionary<string, Filter>
    {
        ["safe"] = (value, _, rendering) => value as Markup ?? new Markup(PythonText.Str(value, rendering.Budget)),
        ["escape"] = (value, _, rendering) => Markup.Of(value, rendering.Budget),
        ["e"] = (value, _, rendering) => Markup.Of(value, rendering.Budget),
        ["forceescape"] = (value, _, rendering) =>
            new Markup(Markup.Escape(PythonText.Str(value, rendering.Budget), rendering.Budget)),
        ["striptags"] = (value, _, rendering) => StripTags(PythonText.Str(value, rendering.Budget)),
        ["urlencode"] = UrlEncode,
        ["xmlattr"] = XmlAttributes,
    };

    private static string StripTags(string text)
    {
        string plain = string.Join(
            ' ',
            Tags().Replace(Comments().Replace(text, ""), "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
        );
        return System.Net.WebUtility.HtmlDecode(plain);
    }

    private static object UrlEncode(object? value, Arguments arguments, Rendering rendering)
    {
        if (value is string or Markup || Sequences.FindItems(value) is null)
            return Quote(value, "/", rendering.Budget);
        IEnumerable<object?> pairs = value is Mapping mapping
            ? new MappingView(mapping, MappingPart.Items).Items
            : Sequences.Items(value);
        return string.Join('&', pairs.Select(Pair));

        string Pair(object? pair)
        {
            List<object?> parts = Sequences.List(pair, rendering.Budget);
            return parts.Count == 2
                ? $"{Query(parts[0])}={Query(parts[1])}"
                : throw TemplateError.Value($"not enough values to unpack (expected 2, got {parts.Count})");
        }

        string Query(object? part) => Quote(part, "", rendering.Budget).Replace("%20", "+");
    }

    private static string Quote(object? value, string safe, Budget budget)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(PythonText.Str(value, budget));
        budget.Text(3L * bytes.Length);
        var builder = new StringBuilder();
        foreach (byte b in bytes)
        {
            char c = (char)b;
            if (char.IsAsciiLetterOrDigit(c) || "_.-~".Contains(c) || safe.Contains(c))
                builder.Append(c);
            else
                builder.Append($"%{b:X2}");
        }
        return builder.ToString();
    }

    private static object XmlAttributes(object? value, Arguments arguments, Rendering rendering)
    {
        object?[] given = arguments.Bind("xmlattr", 0, "autospace");
        if (value is not Mapping mapping)
            throw TemplateError.Type($"'{PythonTypes.Name(value)}' object has no attribute 'items'");
        string text = string.Join(
            ' ',
            mapping
                .Entries.Where(entry => entry.Value is not (null or Undefined))
                .Select(entry => $"{Name(entry.Key)}=\"{Markup.Of(entry.Value, rendering.Budget).Text}\"")
        );
        bool isSpaced = given[0] == Arguments.Absent || Sequences.IsTrue(given[0]);
        return isSpaced && text.Length > 0 ? " " + text : text;

        string Name(object? key)
        {
            string name = TextMethods.Text(key);
            return name.AsSpan().IndexOfAny(" \t\r\n\f\v/>=") < 0
                ? Markup.Escape(name, rendering.Budget)
                : throw TemplateError.Value($"Invalid character in attribute name: {PythonText.Quote(name)}");
        }
    }

    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex Comments();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tags();
}
