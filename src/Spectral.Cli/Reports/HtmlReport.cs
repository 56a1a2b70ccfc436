using System.Text.Json.Nodes;

namespace Spectral.Cli.Reports;

/// <summary>A number before and after training, already formatted.</summary>
public readonly record struct BeforeAfter(string Name, string Before, string After);

/// <summary>
/// The page that `finetune` and `pretrain` leave behind: what the run gained, its loss curve and its settings.
/// </summary>
public sealed class HtmlReport
{
    // Two measurements, before and after, are no course: a line between them would be read as one.
    private const int FewestForALine = 3;
    private const int MostPoints = 600;

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
        if (Numbers.Count > 0)
        {
            page.Heading("Before and after");
            page.Table(
                "Before and after",
                ["", "before", "after"],
                [.. Numbers.Select(row => (PageCell[])[new(row.Name), new(row.Before), new(row.After)])],
                sortable: false
            );
        }
        page.Chart(LossChart());
        page.Settings(Settings);
        return page.Render();
    }

    private JsonObject LossChart()
    {
        LossPoint[] steps = LossCurve.Thin(LossCurve.Finite(Training), MostPoints);
        LossPoint[] held = LossCurve.Finite(Evaluation);
        var chart = new CurvesChart(
            "loss",
            "Loss by step",
            "Mean cross-entropy per token: each step, and a running mean over a fifteenth of the run.",
            "step",
            "loss"
        );
        if (steps.Length > 0)
            chart.Add("each step", 0, "raw", steps);
        if (steps.Length > 0)
            chart.Add("training", 0, "line", LossCurve.Smooth(steps));
        if (held.Length > 0)
            chart.Add("held-out records", 1, held.Length < FewestForALine ? "marks" : "dots", held);
        return chart.ToJson();
    }
}
