using System.Globalization;
using Spectral.Cli.Reports;
using Spectral.Training.Forgetting;

namespace Spectral.Cli.Spectra;

/// <summary>Writes the section on forgetting: a table of laws, and a chart of the checkpoints for each.</summary>
internal static class ForgettingSection
{
    private const int CurvePoints = 60;

    /// <summary>Adds the section to a page.</summary>
    public static void Write(HtmlPage page, ForgettingReport report)
    {
        ForgettingCurve curve = report.Curve;
        page.Heading("Forgetting");
        page.Paragraph(
            Text(
                $"Loss on old data ({report.Data}) at {curve.Points.Count} checkpoints; it was {curve.BaseLoss:0.0000} "
            )
                + "before training. Forgetting F is the increase. Intervals hold 95\u00a0% if the law is right and "
                + "residuals are independent and Gaussian."
        );
        if (curve.Laws.Count > 0)
        {
            page.Table(
                "Laws of forgetting",
                ["law and parameter", "value", "from", "to"],
                [.. curve.Laws.SelectMany(Rows)],
                sortable: false
            );
        }

        foreach (FittedLaw law in curve.Laws)
            page.Chart(Chart(law, curve.Points).ToJson());
        page.Table(
            "Checkpoints",
            ["step", "loss on old data", "forgetting", "‖Δ‖/‖W‖", "loss on the task"],
            [
                .. curve.Points.Select(point =>
                    (PageCell[])
                        [
                            new(Text($"{point.Step}"), point.Step),
                            new(Text($"{point.Loss:0.0000}"), point.Loss),
                            new(Text($"{point.Forgetting:0.0000}"), point.Forgetting),
                            new(Text($"{point.Update:0.00000}"), point.Update),
                            new(
                                point.TaskLoss is { } loss ? Text($"{loss:0.0000}") : "–",
                                point.TaskLoss ?? double.NaN
                            ),
                        ]
                ),
            ],
            sortable: true
        );
    }

    private static IEnumerable<PageCell[]> Rows(FittedLaw law) =>
        law.Parameters.Select(parameter =>
            (PageCell[])
                [
                    new($"{law.Formula}: {parameter.Name}"),
                    Number(parameter.Value),
                    Number(parameter.Low),
                    Number(parameter.High),
                ]
        );

    private static PageCell Number(double value) =>
        double.IsFinite(value) ? new(Text($"{value:G4}"), value) : new("–", double.NaN);

    private static CurvesChart Chart(FittedLaw law, IReadOnlyList<ForgettingPoint> points)
    {
        (string title, string axis, Func<ForgettingPoint, double?> of) = law.Name switch
        {
            LawFit.Steps => ("Forgetting by steps", "step", (Func<ForgettingPoint, double?>)(point => point.Step)),
            LawFit.Update => ("Forgetting by size of the update", "‖Δ‖/‖W‖", point => point.Update),
            _ => ("Forgetting by loss on the task", "loss on the task", point => point.TaskLoss),
        };
        (double X, double Y)[] measured =
        [
            .. points.Where(point => of(point) is > 0).Select(point => (of(point)!.Value, point.Forgetting)).Order(),
        ];
        double least = measured[0].X;
        double most = measured[^1].X;
        var chart = new CurvesChart(
            $"forgetting-{law.Name}",
            title,
            Text($"Increase of the loss on old data at each checkpoint, and the law {law.Formula}: residual ")
                + Text($"{law.Residual:G3}, R² {law.Determination:0.000}.")
                + (law.IsDetermined ? "" : " The checkpoints do not determine the exponent."),
            axis,
            "forgetting"
        )
        {
            IsLinear = true,
        };
        chart.Add(
            "law",
            1,
            "line",
            Enumerable
                .Range(0, CurvePoints)
                .Select(i => least + ((most - least) * i / (CurvePoints - 1)))
                .Select(x => (x, law.At(x)))
        );
        chart.Add("checkpoints", 0, "marks", measured);
        return chart;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
