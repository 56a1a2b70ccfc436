using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;

namespace Spectral.Cli.Reports;

/// <summary>
/// A field of a table: what it says, what it is sorted by if that is a number (NaN: last either way), and whether it
/// stands out.
/// </summary>
internal readonly record struct PageCell(string Text, double? Value = null, bool IsBest = false);

/// <summary>
/// The page that reports are written on: one file that fetches nothing. Words and tables are there without the script;
/// the script draws the charts from the data that the page holds. Every text given is escaped.
/// </summary>
internal sealed class HtmlPage
{
    // The default encoder leaves no <, >, & or line separator in a string, so no text can end the element that holds
    // it.
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.Default };

    private readonly StringBuilder _page = new();
    private readonly JsonArray _charts = [];
    private readonly JsonObject _data = [];

    /// <param name="title">The heading.</param>
    /// <param name="summary">A line below it.</param>
    public HtmlPage(string title, string summary)
    {
        _page.Append(
            $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="{PageAssets.Policy}">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Escape(title)}</title>
            <style>{PageAssets.Style}</style>
            </head>
            <body>
            <h1>{Escape(title)}</h1>
            <p>{Escape(summary)}</p>
            <noscript><p>The charts are drawn by the script inside this page, which is switched off here.</p></noscript>

            """
        );
        _data["charts"] = _charts;
    }

    public void Heading(string text) => _page.Append($"<h2>{Escape(text)}</h2>\n");

    public void Paragraph(string text) => _page.Append($"<p>{Escape(text)}</p>\n");

    /// <summary>A sentence that the page is about.</summary>
    public void Finding(string text) => _page.Append($"<p class=\"finding\">{Escape(text)}</p>\n");

    /// <summary>A place for the charts and the table of an analysis, made by the script.</summary>
    public void Spectra(JsonNode analysis)
    {
        _page.Append("<div data-spectra></div>\n");
        _data["spectra"] = analysis;
    }

    /// <summary>A place for a chart, drawn by the script.</summary>
    public void Chart(JsonObject chart)
    {
        _page.Append($"<figure data-chart=\"{Escape((string)chart["id"]!)}\"></figure>\n");
        _charts.Add(chart);
    }

    /// <summary>
    /// A place for boxes that show and hide what charts have in common, by name: a name's place in the list is its slot
    /// of colour.
    /// </summary>
    public void Chooser(IEnumerable<string> names)
    {
        _page.Append("<div data-chooser></div>\n");
        _data["names"] = JsonOutput.Array(names);
    }

    /// <summary>Rows of a name and a value.</summary>
    public void Settings(IEnumerable<(string Name, string Value)> rows)
    {
        _page.Append("<h2>Settings</h2>\n<table>\n");
        foreach ((string name, string value) in rows)
            _page.Append($"<tr><th scope=\"row\">{Breakable(name)}</th><td>{Escape(value)}</td></tr>\n");
        _page.Append("</table>\n");
    }

    /// <summary>A table whose first column names the rows and whose others are figures.</summary>
    /// <param name="label">What it holds, for those who hear it.</param>
    /// <param name="columns">The heads.</param>
    /// <param name="rows">As many fields each as there are heads.</param>
    /// <param name="sortable">Whether the script lets readers sort it.</param>
    public void Table(string label, IReadOnlyList<string> columns, IReadOnlyList<PageCell[]> rows, bool sortable)
    {
        _page.Append(
            $"<div class=\"scroll\" role=\"region\" aria-label=\"{Escape(label)}\" "
                + $"tabindex=\"0\">\n<table{(sortable ? " class=\"sortable\"" : "")}>\n<thead><tr>"
        );
        for (int i = 0; i < columns.Count; i++)
            _page.Append($"<th scope=\"col\"{(i == 0 ? "" : " class=\"number\"")}>{Escape(columns[i])}</th>");
        _page.Append("</tr></thead>\n<tbody>\n");
        foreach (PageCell[] row in rows)
        {
            _page.Append($"<tr><th scope=\"row\">{Escape(row[0].Text)}</th>");
            foreach (PageCell cell in row[1..])
            {
                string text = Escape(cell.Text);
                string shown = cell.IsBest ? $"<strong>{text}</strong>" : text;
                _page.Append($"<td class=\"number\"{Value(cell)}>{shown}</td>");
            }

            _page.Append("</tr>\n");
        }
        _page.Append("</tbody>\n</table>\n</div>\n");
    }

    /// <summary>The whole page.</summary>
    public string Render() =>
        $"{_page}<script type=\"application/json\" id=\"data\">{_data.ToJsonString(Compact)}</script>\n"
        + $"<script>{PageAssets.Script}</script>\n</body>\n</html>\n";

    private static string Escape(string text) => WebUtility.HtmlEncode(text);

    private static string Value(PageCell cell) =>
        cell.Value is { } value
            ? $" data-value=\"{(double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "")}\""
            : "";

    /// <summary>Long names of options and kernels may break after an underscore, not anywhere.</summary>
    private static string Breakable(string name) => Escape(name).Replace("_", "_<wbr>");
}
