using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Merging;

/// <summary>
/// The page of <c>merge --eval</c>: the table, what each merge keeps, what was left out, the settings.
/// </summary>
internal static class MergeScorePage
{
    /// <param name="title">The heading.</param>
    /// <param name="scores">What is measured so far.</param>
    /// <param name="settings">Rows of the table of settings.</param>
    public static string Render(string title, MergeScores scores, IEnumerable<(string Name, string Value)> settings)
    {
        var page = new HtmlPage(title, Summary(scores));
        page.Table("Merges measured", MergeScoreTable.Columns(scores), MergeScoreTable.Rows(scores), sortable: true);
        page.Paragraph(
            "Kept is the share of an expert's gain that a model has: its loss less that of the base, divided by the "
                + "same difference of the best single input on that task. 100 % is as good as that input, 0 % as the "
                + "base, and below that it is worse than the base. Losses are means over the tokens that carry loss."
        );
        if (scores.Merges.Count > 0)
            page.Chart(Chart(scores));
        if (scores.LeftOut.Count > 0)
        {
            page.Heading("Left out");
            foreach ((string method, string reason) in scores.LeftOut)
                page.Paragraph($"{method}: {reason}");
        }
        page.Settings(settings);
        return page.Render();
    }

    private static string Summary(MergeScores scores) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{scores.Merges.Count} merges of {scores.Inputs.Count} inputs on {scores.Tasks.Count} tasks, beside the "
                + $"base and each input alone."
        );

    private static JsonObject Chart(MergeScores scores) =>
        new()
        {
            ["kind"] = "strip",
            ["id"] = "kept",
            ["title"] = "Share of the experts' gains that each merge keeps",
            ["explanation"] = "One dot per task, and a stroke at their mean.",
            ["value"] = new JsonObject { ["label"] = "kept, %", ["zero"] = true },
            ["each"] = "task",
            ["rows"] = new JsonArray([
                .. scores.Merges.Select(
                    (merge, slot) =>
                        (JsonNode)
                            new JsonObject
                            {
                                ["name"] = merge.Name,
                                ["slot"] = slot,
                                ["values"] = new JsonArray([.. Values(scores, merge)]),
                            }
                ),
            ]),
        };

    private static IEnumerable<JsonNode> Values(MergeScores scores, MergeScore merge)
    {
        for (int task = 0; task < scores.Tasks.Count; task++)
        {
            if (scores.Kept(merge, task) is { } kept && double.IsFinite(kept))
                yield return new JsonArray(scores.Tasks[task].Name, 100 * kept);
        }
    }
}
