using System.Net;
using System.Text;

namespace Spectral.Cli;

/// <summary>A number before and after training, already formatted.</summary>
public readonly record struct BeforeAfter(string Name, string Before, string After);

/// <summary>
/// The page that `finetune` and `pretrain` leave behind: what the run gained, its loss curve and its settings. One file
/// that needs no network and no script, in light and dark, on a phone and on paper.
/// </summary>
public sealed class HtmlReport
{
    private const string Style = """
        :root{color-scheme:light dark;--ink:#1f2328;--quiet:#59636e;--line:#d8dee4;--page:#fff}
        @media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9198a1;--line:#30363d;--page:#0d1117}}
        body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:46rem;margin:0 auto;padding:1.5rem 1rem}
        h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.25rem 0;color:var(--quiet)}
        svg{width:100%;height:auto;display:block}
        table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
        th{font-weight:600;color:var(--quiet)}.number{text-align:right;font-variant-numeric:tabular-nums}
        """;

    /// <summary>The heading.</summary>
    public required string Title { get; init; }

    /// <summary>A line below the heading.</summary>
    public required string Summary { get; init; }

    /// <summary>What the run gained.</summary>
    public IReadOnlyList<BeforeAfter> Numbers { get; init; } = [];

    /// <summary>Options and facts of the run.</summary>
    public IReadOnlyList<(string Name, string Value)> Settings { get; init; } = [];

    /// <summary>Loss of each step.</summary>
    public IReadOnlyList<LossPoint> Training { get; init; } = [];

    /// <summary>Loss on held-out records.</summary>
    public IReadOnlyList<LossPoint> Evaluation { get; init; } = [];

    /// <summary>The whole page. Every text given is escaped.</summary>
    public string Render()
    {
        var page = new StringBuilder();
        page.Append($"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Escape(Title)}</title>
            <style>
            {Style}
            </style>
            </head>
            <body>
            <h1>{Escape(Title)}</h1>
            <p>{Escape(Summary)}</p>

            """);
        if (Numbers.Count > 0)
        {
            page.Append("<h2>Before and after</h2>\n<table>\n<tr><th></th><th class=\"number\">before</th><th class=\"number\">after</th></tr>\n");
            foreach (BeforeAfter row in Numbers)
                page.Append($"<tr><td>{Escape(row.Name)}</td><td class=\"number\">{Escape(row.Before)}</td><td class=\"number\">{Escape(row.After)}</td></tr>\n");
            page.Append("</table>\n");
        }
        page.Append("<h2>Loss</h2>\n").Append(LossChart.Svg(Training, Evaluation));
        page.Append("<h2>Settings</h2>\n<table>\n");
        foreach (var (name, value) in Settings) page.Append($"<tr><th scope=\"row\">{Escape(name)}</th><td>{Escape(value)}</td></tr>\n");
        return page.Append("</table>\n</body>\n</html>\n").ToString();
    }

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
