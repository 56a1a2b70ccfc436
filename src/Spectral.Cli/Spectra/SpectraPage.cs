using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// Writes the page of an analysis: results for the whole model in words and tables, then charts and the table of
/// matrices, which the script makes from <see cref="PageSpectra"/>.
/// </summary>
internal static class SpectraPage
{
    private static readonly Quantity[] Quantities =
    [
        new("change of the weights, ‖Δ‖/‖W‖", "0.0000", 1, model => model.RelativeChange),
        new(
            "growth of the top as a share of the change of all singular values",
            "0.000",
            1,
            model => model.Amplification
        ),
        new("the same, in standard deviations from random changes", "0.0", 1, model => model.AmplificationZ),
        new("similarity of the top left subspaces (1 if they are equal)", "0.000", 1, model => model.SimilarityLeft),
        new("similarity of the top right subspaces", "0.000", 1, model => model.SimilarityRight),
        new("largest angle between the top left subspaces, degrees", "0.0", 1, model => model.LargestAngleLeft),
        new("largest angle between the top right subspaces, degrees", "0.0", 1, model => model.LargestAngleRight),
        new("energy of Δ that maps the top to the top, %", "0.0", 100, model => model.EnergyTopTop),
        new("energy of Δ that maps the rest to the rest, %", "0.0", 100, model => model.EnergyBottomBottom),
        new("stable rank before", "0.00", 1, model => model.StableRankBase),
        new("stable rank after", "0.00", 1, model => model.StableRankTuned),
        new("stable rank of Δ", "0.00", 1, model => model.StableRankChange),
        new("effective rank before", "0.0", 1, model => model.EffectiveRankBase),
        new("effective rank after", "0.0", 1, model => model.EffectiveRankTuned),
        new("excess kurtosis of the entries before (0 for a Gaussian)", "0.000", 1, model => model.KurtosisBase),
        new("excess kurtosis of the entries after", "0.000", 1, model => model.KurtosisTuned),
        new("mean squared correlation of rows before (1 if independent)", "0.00", 1, model => model.RowCorrelationBase),
        new("the same of columns", "0.00", 1, model => model.ColumnCorrelationBase),
        new("singular values beyond those of independent entries, before", "0.0", 1, model => model.BeyondBase),
        new("the same, after", "0.0", 1, model => model.BeyondTuned),
        new("the same, of Δ", "0.0", 1, model => model.BeyondChange),
    ];

    private static readonly string[] PartColumns =
    [
        "part of the spectrum",
        "growth",
        "change",
        "matched, left",
        "matched, right",
        "best, left",
        "best, right",
    ];

    /// <summary>Returns the page of an analysis.</summary>
    public static string Render(SpectraReport report)
    {
        SpectraSummary model = report.Spectra.Model;
        var page = new HtmlPage(
            $"Weight spectra: {Leaf(report.Tuned ?? report.Adapter ?? "")} against {Leaf(report.Base)}",
            Summary(model)
        );
        page.Heading("What tuning did");
        foreach (string verdict in Verdicts(model, report.Settings.TopK))
            page.Finding(verdict);
        if (report.Mitigation is { } mitigation)
            page.Finding(mitigation.InWords(model.Matrices));
        if (report.Principal is { } principal)
            page.Finding(principal.InWords());
        page.Spectra(PageSpectra.Of(report).ToJson());
        page.Heading("Over all matrices");
        page.Table(
            "Over all matrices",
            ["quantity", "mean", "deviation", "least", "largest"],
            [.. Quantities.Select(quantity => quantity.Row(model))],
            sortable: false
        );
        page.Paragraph(
            "By part of the spectrum: mean growth of singular values and mean size of their change; |cos| of tuned "
                + "vectors with the base vector at the same position (matched) and with the nearest one (best)."
        );
        page.Table("By part of the spectrum", PartColumns, [.. model.Bins.Select(PartRow)], sortable: false);
        if (report.Forgetting is { } forgetting)
            ForgettingSection.Write(page, forgetting);
        page.Settings(Settings(report));
        return page.Render();
    }

    private static string Summary(SpectraSummary model)
    {
        string changed = model.Unchanged == 0 ? "all of them changed" : $"{model.Unchanged} unchanged";
        int rounding = model.Matrices - model.Unchanged - model.Measurable;
        string seen = rounding == 0 ? "" : $"; in {rounding} the change is no larger than rounding";
        return $"{model.Matrices} weight matrices, {changed}{seen}. Δ is the tuned matrix minus the base "
            + "matrix; left is the output side, right the input side.";
    }

    private static string[] Verdicts(SpectraSummary model, int top) =>
        [
            Verdict(
                model.AmplifiesTop,
                $"Amplifies the top {top} singular values",
                $"their growth is {Text(model.Amplification.Mean, 100, "0")}\u00a0% of the change of all, "
                    + $"z {Text(model.AmplificationZ.Mean, 1, "0.0")} on average"
            ),
            Verdict(
                model.ReorientsTop,
                $"Turns the top {top} singular vectors more than chance",
                $"similarity of the subspaces {Text(model.SimilarityLeft.Mean, 1, "0.00")} left and "
                    + $"{Text(model.SimilarityRight.Mean, 1, "0.00")} right"
            ),
            Verdict(
                model.RestStable,
                "Leaves the rest of the spectrum as it was",
                $"{Text(model.EnergyBottomBottom.Mean, 100, "0")}\u00a0% of the energy of Δ maps the rest "
                    + "to the rest"
            ),
        ];

    private static string Verdict(VerdictCount counts, string claim, string numbers)
    {
        int decided = counts.Holds + counts.Fails;
        if (decided == 0)
            return $"{claim}: not measurable, as no matrix changed by more than rounding.";
        string answer = (counts.Holds, counts.Fails) switch
        {
            (_, 0) => "yes",
            (0, _) => "no",
            _ => counts.Holds >= counts.Fails ? "mostly" : "mostly not",
        };
        string where =
            counts.Unknown == 0
                ? $"{counts.Holds} of {decided} matrices"
                : $"{counts.Holds} of the {decided} matrices that changed measurably";
        return $"{claim}: {answer}. It holds in {where}; {numbers}.";
    }

    private static PageCell[] PartRow(BinAverage bin) =>
        [
            new PageCell(bin.Bin),
            Cell(bin.Relative, 100, "0.000'\u00a0%'"),
            Cell(bin.RelativeMagnitude, 100, "0.000'\u00a0%'"),
            Cell(bin.MatchedLeft, 1, "0.000"),
            Cell(bin.MatchedRight, 1, "0.000"),
            Cell(bin.BestLeft, 1, "0.000"),
            Cell(bin.BestRight, 1, "0.000"),
        ];

    private static IEnumerable<(string, string)> Settings(SpectraReport report)
    {
        yield return ("base", report.Base);
        if (report.Tuned is { } tuned)
            yield return ("tuned", tuned);
        if (report.Adapter is { } adapter)
            yield return ("adapter", adapter);
        yield return ("device", report.Device);
        if (report.Mitigation is { } mitigation)
        {
            yield return ("mitigated model", mitigation.Out);
            yield return ("factor on intruders", Text(mitigation.Settings.Factor, 1, "0.###"));
            yield return ("intruders below |cos|", Text(mitigation.Settings.Threshold, 1, "0.###"));
            yield return ("intruders sought among", Text(mitigation.Settings.Searched, 1, "0"));
        }
        foreach ((string key, JsonNode? value) in SpectraJson.Of(report.Settings))
        {
            string text = value is JsonArray list ? string.Join(", ", list) : $"{value}";
            yield return (key.Replace('_', ' '), text);
        }
    }

    private static string Text(double value, double factor, string format) => Cell(value, factor, format).Text;

    /// <summary>A number as --json has it, so that the page and the file cannot disagree in a last digit.</summary>
    private static PageCell Cell(double value, double factor, string format)
    {
        if (!double.IsFinite(value))
            return new PageCell("–", double.NaN);
        double rounded = TenDigits.Round(value);
        return new PageCell((factor * rounded).ToString(format, CultureInfo.InvariantCulture), rounded);
    }

    private static string Leaf(string path) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(path)) is { Length: > 0 } name ? name : path;

    /// <summary>A row of the table over all matrices.</summary>
    private sealed record Quantity(string Name, string Format, double Factor, Func<SpectraSummary, SpectraSpread> Of)
    {
        public PageCell[] Row(SpectraSummary model)
        {
            SpectraSpread spread = Of(model);
            return
            [
                new PageCell(Name),
                Cell(spread.Mean, Factor, Format),
                Cell(spread.StandardDeviation, Factor, Format),
                Cell(spread.Least, Factor, Format),
                Cell(spread.Largest, Factor, Format),
            ];
        }
    }
}
