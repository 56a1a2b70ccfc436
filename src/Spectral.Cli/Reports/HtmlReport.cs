using System.Text;

namespace Spectral.Cli;

/// <summary>A number before and after training, already formatted.</summary>
public readonly record struct BeforeAfter(string Name, string Before, string After);

/// <summary>The page that `finetune` and `pretrain` leave behind: what the run gained, its loss curve and its settings.</summary>
public sealed class HtmlReport
{
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
        var page = new HtmlPage(Title, Summary);
        if (Numbers.Count > 0) page.Raw(BeforeAndAfter());
        page.Heading("Loss");
        page.Chart(size => LossChart.Svg(Training, Evaluation, size));
        page.Settings(Settings);
        return page.Render();
    }

    private string BeforeAndAfter()
    {
        var table = new StringBuilder("<h2>Before and after</h2>\n<table>\n<tr><td></td><th class=\"number\" scope=\"col\">before</th><th class=\"number\" scope=\"col\">after</th></tr>\n");
        foreach (BeforeAfter row in Numbers)
            table.Append($"<tr><td>{HtmlPage.Escape(row.Name)}</td><td class=\"number\">{HtmlPage.Escape(row.Before)}</td><td class=\"number\">{HtmlPage.Escape(row.After)}</td></tr>\n");
        return table.Append("</table>\n").ToString();
    }
}
