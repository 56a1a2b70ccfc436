using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Comparisons;

/// <summary>
/// The page of a comparison: a table of methods, their curves, their figures by seed, and the settings.
/// </summary>
internal static class ComparisonPage
{
    public static string Render(Comparison comparison)
    {
        IReadOnlyList<MethodSummary> methods = comparison.Methods;
        var page = new HtmlPage(comparison.Title, Summary(comparison));
        page.Table("Methods compared", ComparisonTable.Columns, ComparisonTable.Rows(methods), sortable: true);
        foreach (string note in comparison.Notes)
            page.Paragraph(note);
        foreach (MethodSummary method in methods)
        {
            if (method.Diverged > 0)
            {
                string? reason = method.Runs.First(run => run.Divergence is not null).Divergence;
                page.Paragraph(
                    $"{method.Compared.Name}: {method.Diverged} of {method.Runs.Count} runs diverged and are left out "
                        + $"of its means: {reason}"
                );
            }
        }

        page.Chooser(methods.Select(method => method.Compared.Name));
        page.Chart(
            Curves(
                new CurvesChart(
                    "training-loss",
                    "Training loss by step",
                    "Mean over seeds, with a band from the smallest to the largest value; each curve is a running mean "
                        + "over a fifteenth of the run.",
                    "step",
                    "loss"
                )
                {
                    Keyed = true,
                },
                methods,
                smooth: true,
                method => method.Runs.Select(run => run.Losses)
            )
        );
        HeldOut(page, methods);
        page.Settings(comparison.Settings);
        return page.Render();
    }

    private static string Summary(Comparison comparison)
    {
        string runs = string.Create(
            CultureInfo.InvariantCulture,
            $"{comparison.Methods.Count} methods, {comparison.Wanted / comparison.Methods.Count} seeds each, "
                + $"on the same records in the same order."
        );
        return comparison.IsComplete ? runs : $"{runs} So far {comparison.Done} of {comparison.Wanted} runs are done.";
    }

    /// <summary>
    /// Adds the charts of evaluations: over the steps, if there are more than the two before and after training, and
    /// the last one by seed.
    /// </summary>
    private static void HeldOut(HtmlPage page, IReadOnlyList<MethodSummary> methods)
    {
        if (methods.Any(method => method.Runs.Any(run => run.Evaluations.Count > 2)))
        {
            page.Chart(
                Curves(
                    new CurvesChart(
                        "held-out-loss",
                        "Loss on held-out records by step",
                        "Mean over seeds, with a band from the smallest to the largest value.",
                        "step",
                        "loss"
                    )
                    {
                        Keyed = true,
                    },
                    methods,
                    smooth: false,
                    method =>
                        method.Runs.Select(run =>
                            (LossPoint[])
                                [.. run.Evaluations.Select(entry => new LossPoint(entry.Step, entry.Result.Loss))]
                        )
                )
            );
        }

        page.Chart(
            BySeed("eval-loss", "Loss on held-out records after training", "eval loss", 1, methods, run => run.EvalLoss)
        );
        if (methods.Any(method => method.ExactMatch is not null))
        {
            page.Chart(
                BySeed(
                    "exact-match",
                    "Exact match on held-out records after training",
                    "exact match, %",
                    100,
                    methods,
                    run => run.ExactMatch
                )
            );
        }
    }

    private static JsonObject Curves(
        CurvesChart chart,
        IReadOnlyList<MethodSummary> methods,
        bool smooth,
        Func<MethodSummary, IEnumerable<IReadOnlyList<LossPoint>>> losses
    )
    {
        for (int i = 0; i < methods.Count; i++)
            chart.Add(methods[i].Compared.Name, i, MeanCurve.Of(losses(methods[i]), smooth, methods.Count));
        return chart.ToJson();
    }

    /// <summary>Makes a chart with a row for each method and a dot for each run that has the figure.</summary>
    private static JsonObject BySeed(
        string id,
        string title,
        string label,
        double factor,
        IReadOnlyList<MethodSummary> methods,
        Func<FinishedRun, double?> figure
    ) =>
        new()
        {
            ["kind"] = "strip",
            ["id"] = id,
            ["title"] = title,
            ["explanation"] = "One dot per seed, and a stroke at their mean.",
            ["value"] = new JsonObject { ["label"] = label, ["zero"] = false },
            ["each"] = "seed",
            ["rows"] = new JsonArray([
                .. methods.Select(
                    (method, i) =>
                        (JsonNode)
                            new JsonObject
                            {
                                ["name"] = method.Compared.Name,
                                ["slot"] = i,
                                ["values"] = new JsonArray([
                                    .. method
                                        .Runs.Where(run => figure(run) is { } value && double.IsFinite(value))
                                        .Select(run =>
                                            (JsonNode)
                                                new JsonArray(
                                                    run.Seed.ToString(CultureInfo.InvariantCulture),
                                                    factor * figure(run)
                                                )
                                        ),
                                ]),
                            }
                ),
            ]),
        };
}
