using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>The filters, by name: Jinja's own and tojson as transformers defines it.</summary>
internal static class Filters
{
    private static readonly Dictionary<string, Filter> All = new(
        TextFilters
            .All.Concat(ListFilters.All)
            .Concat(SelectionFilters.All)
            .Concat(ValueFilters.All)
            .Concat(HtmlFilters.All)
    );

    /// <summary>Finds a filter.</summary>
    public static Filter? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>Returns a filter that a value names, as in map("upper").</summary>
    /// <exception cref="TemplateError">There is none of that name.</exception>
    public static Filter Get(object? name) =>
        name is string text && Find(text) is { } filter
            ? filter
            : throw new TemplateError(
                "TemplateRuntimeError",
                $"No filter named {PythonText.Repr(name, new Budget())}."
            );
}
