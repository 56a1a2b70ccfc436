using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Training.Settings;

namespace Spectral.Cli.Options;

/// <summary>A list of methods that are chosen by name: all in a table, or one in detail.</summary>
internal abstract class MethodList<T>
    where T : MethodDescription
{
    /// <summary>The methods in the order of the list.</summary>
    protected abstract IEnumerable<T> All { get; }

    /// <summary>The heads of the table's columns.</summary>
    protected abstract string[] Columns { get; }

    /// <summary>The number of columns of names or numbers; those behind them hold text, which may be cut.</summary>
    protected abstract int FirstText { get; }

    /// <summary>The line below the table, which says how to show one method in detail.</summary>
    protected abstract string Hint { get; }

    /// <summary>The name of the array for --json.</summary>
    protected virtual string Key => "methods";

    /// <summary>Prints the list, or one method in detail.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="one">The method to show in detail; null: all.</param>
    public void Print(CommandContext context, T? one)
    {
        if (one is not null)
        {
            context.Finish(Json(one), terminal => Show(terminal, one));
            return;
        }

        var result = new JsonObject { [Key] = new JsonArray([.. All.Select(method => (JsonNode)Json(method))]) };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(Columns, [.. All.Select(Row)], FirstText);
                terminal.Line(Hint);
            }
        );
    }

    /// <summary>Returns a method's row of the table.</summary>
    protected abstract string[] Row(T method);

    /// <summary>Returns what the list tells of a method in detail beside use, source and form.</summary>
    protected abstract IEnumerable<(string Name, string Value)> Details(T method);

    /// <summary>Returns sentences that follow the details.</summary>
    protected virtual IEnumerable<string> Remarks(T method) => [];

    /// <summary>Returns the settings of a method whose values are text.</summary>
    protected virtual IReadOnlyList<TextSetting> TextSettings(T method) => [];

    /// <summary>Adds what only this kind of method has, for --json.</summary>
    protected abstract void AddFacts(JsonObject json, T method);

    private void Show(Terminal terminal, T method)
    {
        MethodText.Show(terminal, method, [.. Details(method)]);
        foreach (string remark in Remarks(method))
            terminal.Line(remark);
        MethodText.ShowSettings(terminal, method.Settings, TextSettings(method));
    }

    private JsonObject Json(T method)
    {
        var json = new JsonObject
        {
            ["name"] = method.Name,
            ["formula"] = method.Formula,
            ["source"] = method.Source,
            ["published_form"] = method.IsPublishedForm,
            ["use"] = method.Use,
        };
        AddFacts(json, method);
        json["settings"] = MethodText.JsonOf(method.Settings, TextSettings(method));
        return json;
    }
}
