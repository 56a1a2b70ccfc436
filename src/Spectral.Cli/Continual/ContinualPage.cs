using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Continual;

/// <summary>The page of <c>continual</c>: the tables, the measures, a curve for each task, the settings.</summary>
internal static class ContinualPage
{
    /// <param name="title">The heading.</param>
    /// <param name="scores">What is measured so far.</param>
    /// <param name="settings">Rows of the table of settings.</param>
    public static string Render(string title, ContinualScores scores, IEnumerable<(string Name, string Value)> settings)
    {
        var page = new HtmlPage(title, Summary(scores));
        bool matches = ContinualTable.HasExactMatch(scores);
        Table(page, scores, "loss", ContinualTable.Losses(scores));
        if (matches)
            Table(page, scores, "exact match", ContinualTable.ExactMatches(scores));
        page.Table(
            "What is left of the tasks",
            ContinualTable.MeasureColumns,
            ContinualTable.Measures(scores),
            sortable: false
        );
        page.Paragraph(
            "Average is over the tasks trained so far. Backward transfer is the mean change of the earlier tasks since "
                + "each was trained (Lopez-Paz and Ranzato, 2017): below 0, they were forgotten. Forgetting is the "
                + "mean distance from the best that each of them had after any task (Chaudhry et al., 2018). In loss, "
                + "a lower loss counts as better, so that the signs mean the same."
        );
        page.Chooser(scores.Tasks);
        page.Chart(Chart(scores, "loss", "Loss on held-out records", "loss", score => score.Loss));
        if (matches)
        {
            page.Chart(
                Chart(
                    scores,
                    "exact-match",
                    "Exact match on held-out records",
                    "exact match, %",
                    score => 100 * (score.ExactMatch ?? double.NaN)
                )
            );
        }

        page.Settings(settings);
        return page.Render();
    }

    private static void Table(HtmlPage page, ContinualScores scores, string figure, IReadOnlyList<PageCell[]> rows) =>
        page.Table($"{figure} by task", ContinualTable.Columns(scores, figure), rows, sortable: false);

    private static string Summary(ContinualScores scores)
    {
        string all = string.Create(
            CultureInfo.InvariantCulture,
            $"{scores.Tasks.Count} tasks, trained one after another; all are evaluated before the first and after each."
        );
        return scores.IsComplete
            ? all
            : string.Create(CultureInfo.InvariantCulture, $"{all} So far {scores.Count - 1} are trained.");
    }

    private static JsonObject Chart(
        ContinualScores scores,
        string id,
        string title,
        string label,
        Func<TaskScore, double> figure
    )
    {
        var chart = new CurvesChart(
            id,
            title,
            "0 is the base; each further point is the model after one more task.",
            "tasks trained",
            label
        )
        {
            Keyed = true,
        };
        for (int j = 0; j < scores.Tasks.Count; j++)
        {
            LossPoint[] points =
            [
                .. Enumerable.Range(0, scores.Count).Select(stage => new LossPoint(stage, figure(scores[stage][j]))),
            ];
            chart.Add(scores.Tasks[j], j, "dots", LossCurve.Finite(points));
        }
        return chart.ToJson();
    }
}
