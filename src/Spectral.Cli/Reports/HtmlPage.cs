using System.Net;
using System.Text;

namespace Spectral.Cli;

/// <summary>
/// The page that reports are written on: one file that needs no network and no script, in light and dark, on a phone and on paper.
/// Every text given is escaped.
/// </summary>
internal sealed class HtmlPage
{
    private const string Style = """
        :root{color-scheme:light dark;--ink:#1f2328;--quiet:#59636e;--line:#d8dee4;--page:#fff;--focus:#0969da}
        @media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9198a1;--line:#30363d;--page:#0d1117;--focus:#58a6ff}}
        body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:46rem;margin:0 auto;padding:1.5rem 1rem}
        h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.25rem 0;color:var(--quiet)}
        svg{width:100%;height:auto;display:block}.narrow{display:none}@media (max-width:34rem){.wide{display:none}.narrow{display:block}}
        table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line)}
        th{font-weight:600;color:var(--quiet)}td{overflow-wrap:anywhere}.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
        :focus-visible{outline:2px solid var(--focus);outline-offset:2px}
        """;

    private readonly StringBuilder page = new();

    /// <param name="title">The heading.</param>
    /// <param name="summary">A line below it.</param>
    /// <param name="style">What this report needs besides the common style.</param>
    public HtmlPage(string title, string summary, string style = "")
    {
        page.Append($"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Escape(title)}</title>
            <style>
            {Style}
            {style}
            </style>
            </head>
            <body>
            <h1>{Escape(title)}</h1>
            <p>{Escape(summary)}</p>

            """);
    }

    public void Heading(string text) => page.Append($"<h2>{Escape(text)}</h2>\n");

    public void Paragraph(string text) => page.Append($"<p>{Escape(text)}</p>\n");

    /// <summary>A chart, drawn for a large screen and for a phone; the reader sees one of them.</summary>
    public void Chart(Func<ChartSize, string> draw) =>
        page.Append($"<div class=\"wide\">\n{draw(ChartSize.Wide)}</div>\n<div class=\"narrow\">\n{draw(ChartSize.Narrow)}</div>\n");

    /// <summary>Rows of a name and a value.</summary>
    public void Settings(IEnumerable<(string Name, string Value)> rows)
    {
        page.Append("<h2>Settings</h2>\n<table>\n");
        foreach (var (name, value) in rows) page.Append($"<tr><th scope=\"row\">{Breakable(name)}</th><td>{Escape(value)}</td></tr>\n");
        page.Append("</table>\n");
    }

    /// <summary>Markup that the caller has escaped.</summary>
    public void Raw(string markup) => page.Append(markup);

    /// <summary>The whole page.</summary>
    public string Render() => page + "</body>\n</html>\n";

    public static string Escape(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Long names of options and kernels may break after an underscore, not anywhere.</summary>
    private static string Breakable(string name) => Escape(name).Replace("_", "_<wbr>");
}
