using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;

namespace Spectral.Cli.Reports;

/// <summary>
/// A field of a table: its text, the number that the table is sorted by (NaN comes last in both orders; null: sort by
/// the text), and whether it is the best of its column.
/// </summary>
internal readonly record struct PageCell(string Text, double? Value = null, bool IsBest = false);

/// <summary>
/// Builds the HTML page of a report: one file that loads nothing else. Text and tables are plain HTML; a script in the
/// page draws the charts from data in the page. Every text given is escaped.
/// </summary>
internal sealed class HtmlPage
{
    // The default encoder escapes <, >, & and line separators, so that no text can end the element that holds it.
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.Default };

    private readonly StringBuilder _page = new();
    private readonly JsonArray _charts = [];
    private readonly JsonObject _data = [];

    /// <summary>Begins a page with a heading and a paragraph.</summary>
    /// <param name="title">The heading.</param>
    /// <param name="summary">A paragraph below the heading.</param>
    /// <param name="isLive">Whether the script asks for further results of a run, where the page came from.</param>
    public HtmlPage(string title, string summary, bool isLive = false)
    {
        _page.Append(
            $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="{(isLive ? PageAssets.LivePolicy : PageAssets.Policy)}">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Escape(title)}</title>
            <style>{PageAssets.Style}</style>
            </head>
            <body>
            <h1>{Escape(title)}</h1>
            <p data-summary>{Escape(summary)}</p>
            <noscript><p>The charts are drawn by the script inside this page, which is switched off here.</p></noscript>

            """
        );
        _data["charts"] = _charts;
        if (isLive)
            _data["live"] = true;
    }

    public void Heading(string text) => _page.Append($"<h2>{Escape(text)}</h2>\n");

    public void Paragraph(string text) => _page.Append($"<p>{Escape(text)}</p>\n");

    /// <summary>Adds a sentence that states a result.</summary>
    public void Finding(string text) => _page.Append($"<p class=\"finding\">{Escape(text)}</p>\n");

    /// <summary>Adds the charts and the table of an analysis, which the script makes.</summary>
    public void Spectra(JsonNode analysis)
    {
        _page.Append("<div data-spectra></div>\n");
        _data["spectra"] = analysis;
    }

    /// <summary>Adds a chart, which the script draws.</summary>
    public void Chart(JsonObject chart)
    {
        _page.Append($"<figure data-chart=\"{Escape((string)chart["id"]!)}\"></figure>\n");
        _charts.Add(chart);
    }

    /// <summary>
    /// Adds a box for each name, which shows and hides its series in all charts. The index of a name is that of its
    /// colour.
    /// </summary>
    public void Chooser(IEnumerable<string> names)
    {
        _page.Append("<div data-chooser></div>\n");
        _data["names"] = JsonOutput.Array(names);
    }

    /// <summary>Adds a table of settings, with a name and a value in each row.</summary>
    public void Settings(IEnumerable<(string Name, string Value)> rows)
    {
        _page.Append("<h2>Settings</h2>\n<table>\n");
        foreach ((string name, string value) in rows)
            _page.Append($"<tr><th scope=\"row\">{Breakable(name)}</th><td>{Escape(value)}</td></tr>\n");
        _page.Append("</table>\n");
    }

    /// <summary>Adds a table whose first column names the rows and whose other columns are figures.</summary>
    /// <param name="label">The name of the table for screen readers.</param>
    /// <param name="columns">The column heads.</param>
    /// <param name="rows">As many fields each as there are heads.</param>
    /// <param name="sortable">Whether readers can sort the table.</param>
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

    /// <summary>Returns the whole page as HTML.</summary>
    public string Render() =>
        $"{_page}<script type=\"application/json\" id=\"data\">{_data.ToJsonString(Compact)}</script>\n"
        + $"<script>{PageAssets.Script}</script>\n</body>\n</html>\n";

    private static string Escape(string text) => WebUtility.HtmlEncode(text);

    private static string Value(PageCell cell) =>
        cell.Value is { } value
            ? $" data-value=\"{(double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "")}\""
            : "";

    /// <summary>Escapes a name and lets it break after underscores only.</summary>
    private static string Breakable(string name) => Escape(name).Replace("_", "_<wbr>");
}
