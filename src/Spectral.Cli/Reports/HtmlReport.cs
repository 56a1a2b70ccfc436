using System.Text.Json.Nodes;

namespace Spectral.Cli.Reports;

/// <summary>A number before and after training, already formatted.</summary>
public readonly record struct BeforeAfter(string Name, string Before, string After);

/// <summary>
/// The page that <c>finetune</c> and <c>pretrain</c> write: results before and after training, the loss curve and the
/// settings.
/// </summary>
public sealed class HtmlReport
{
    // A line between only two evaluations, before and after training, would look like a measured curve.
    private const int FewestForALine = 3;
    private const int MostPoints = 600;

    /// <summary>Heading of the page.</summary>
    public required string Title { get; init; }

    /// <summary>A paragraph below the heading.</summary>
    public required string Summary { get; init; }

    /// <summary>Results before and after training.</summary>
    public IReadOnlyList<BeforeAfter> Numbers { get; init; } = [];

    /// <summary>The options and facts of the run, as rows of a table.</summary>
    public IReadOnlyList<(string Name, string Value)> Settings { get; init; } = [];

    /// <summary>The training loss of each step.</summary>
    public IReadOnlyList<LossPoint> Training { get; init; } = [];

    /// <summary>The loss on held-out records, by step.</summary>
    public IReadOnlyList<LossPoint> Evaluation { get; init; } = [];

    /// <summary>Whether the run goes on, and the page asks for its further steps.</summary>
    internal bool IsLive { get; init; }

    /// <summary>Returns the whole page as HTML. Every text given is escaped.</summary>
    public string Render()
    {
        var page = new HtmlPage(Title, Summary, IsLive);
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

    /// <summary>Returns the loss curve, as the page's script takes it.</summary>
    internal JsonObject LossChart()
    {
        LossPoint[] steps = LossCurve.Thin(LossCurve.Finite(Training), MostPoints);
        LossPoint[] held = LossCurve.Finite(Evaluation);
        var chart = new CurvesChart(
            "loss",
            "Loss by step",
            "Mean cross-entropy per token, for each step and as a running mean over a fifteenth of the run.",
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
