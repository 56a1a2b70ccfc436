using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Spectra;

/// <summary>
/// The page of an analysis: what was found over the whole model in words and tables; charts and the table of matrices,
/// which the script makes of the
/// same object.
/// </summary>
internal static class SpectraPage
{
    private static readonly (string Key, string Name, double Factor, string Format)[] Spreads =
    [
        ("relative_change", "change of the weights, ‖Δ‖/‖W‖", 1, "0.0000"),
        ("amplification", "share of the change of singular values that is growth of the top", 1, "0.000"),
        ("amplification_z", "the same, in standard deviations from random changes", 1, "0.0"),
        ("similarity_left", "similarity of the top left subspaces (1: the same)", 1, "0.000"),
        ("similarity_right", "similarity of the top right subspaces", 1, "0.000"),
        ("largest_angle_left", "largest angle between the top left subspaces, degrees", 1, "0.0"),
        ("largest_angle_right", "largest angle between the top right subspaces, degrees", 1, "0.0"),
        ("energy_top_top", "energy of Δ from the top to the top, %", 100, "0.0"),
        ("energy_bottom_bottom", "energy of Δ from the rest to the rest, %", 100, "0.0"),
        ("stable_rank_base", "stable rank before", 1, "0.00"),
        ("stable_rank_tuned", "stable rank after", 1, "0.00"),
        ("stable_rank_change", "stable rank of Δ", 1, "0.00"),
        ("effective_rank_base", "effective rank before", 1, "0.0"),
        ("effective_rank_tuned", "effective rank after", 1, "0.0"),
        ("kurtosis_base", "excess kurtosis of the entries before (Gaussian: 0)", 1, "0.000"),
        ("kurtosis_tuned", "excess kurtosis of the entries after", 1, "0.000"),
    ];

    private static readonly (string Key, string Name)[] Parts =
    [
        ("relative", "growth"),
        ("relative_magnitude", "change"),
        ("matched_left", "matched, left"),
        ("matched_right", "matched, right"),
        ("best_left", "best, left"),
        ("best_right", "best, right"),
    ];

    /// <summary>Writes the page of an analysis.</summary>
    /// <param name="analysis">The object that <c>--json</c> prints.</param>
    public static string Render(JsonObject analysis)
    {
        JsonNode model = analysis["model"]!;
        JsonNode settings = analysis["settings"]!;
        int top = (int)settings["top_k"]!;
        var page = new HtmlPage(
            $"Weight spectra: {Tuned(analysis)} against {Leaf((string)analysis["base"]!)}",
            Summary(model)
        );
        page.Heading("What tuning did");
        foreach (
            string verdict in new[]
            {
                Verdict(
                    model["amplifies_top"]!,
                    $"Amplifies the top {top} singular values",
                    $"{Mean(model, "amplification", 100, "0")}\u00a0% of the change of singular values is "
                        + $"their growth, z {Mean(model, "amplification_z", 1, "0.0")} on average"
                ),
                Verdict(
                    model["reorients_top"]!,
                    $"Turns the top {top} singular vectors more than chance",
                    $"similarity of the subspaces {Mean(model, "similarity_left", 1, "0.00")} left and "
                        + $"{Mean(model, "similarity_right", 1, "0.00")} right"
                ),
                Verdict(
                    model["rest_stable"]!,
                    "Leaves the rest of the spectrum as it was",
                    $"{Mean(model, "energy_bottom_bottom", 100, "0")}\u00a0% of the energy of Δ is from "
                        + "the rest to the rest"
                ),
            }
        )
        {
            page.Finding(verdict);
        }

        page.Spectra(SpectraPageData.Of(analysis));
        page.Heading("Over all matrices");
        page.Table(
            "Over all matrices",
            ["quantity", "mean", "deviation", "least", "largest"],
            [
                .. Spreads
                    .Where(spread => model[spread.Key] is JsonObject)
                    .Select(spread =>
                        (PageCell[])
                            [
                                new(spread.Name),
                                .. new[] { "mean", "standard_deviation", "least", "largest" }.Select(key =>
                                    Cell(model[spread.Key]![key], spread.Factor, spread.Format)
                                ),
                            ]
                    ),
            ],
            sortable: false
        );
        page.Paragraph(
            "By part of the spectrum: mean growth and mean size of the change of singular values; |cos| "
                + "of tuned vectors with the base vectors of their positions (matched) and with the nearest "
                + "(best)."
        );
        page.Table(
            "By part of the spectrum",
            ["part of the spectrum", .. Parts.Select(part => part.Name)],
            [
                .. model["bins"]!
                    .AsArray()
                    .Select(bin =>
                        (PageCell[])
                            [
                                new((string)bin!["bin"]!),
                                .. Parts.Select(
                                    (part, i) =>
                                        i < 2
                                            ? Cell(bin[part.Key], 100, "0.000'\u00a0%'")
                                            : Cell(bin[part.Key], 1, "0.000")
                                ),
                            ]
                    ),
            ],
            sortable: false
        );
        page.Settings(Settings(analysis));
        return page.Render();
    }

    private static string Summary(JsonNode model)
    {
        int matrices = (int)model["matrices"]!;
        int unchanged = (int)model["unchanged"]!;
        int measurable = (int)model["measurable"]!;
        string changed = unchanged == 0 ? "all of them changed" : $"{unchanged} unchanged";
        int rounding = matrices - unchanged - measurable;
        string seen = rounding == 0 ? "" : $"; in {rounding} the change is within rounding";
        return $"{matrices} weight matrices, {changed}{seen}. Δ is the tuned minus the base matrix; left is the "
            + "output side, right the input side.";
    }

    private static string Verdict(JsonNode counts, string claim, string numbers)
    {
        int holds = (int)counts["holds"]!;
        int fails = (int)counts["fails"]!;
        int unknown = (int)counts["unknown"]!;
        if (holds + fails == 0)
            return $"{claim}: not measurable, as no matrix changed by more than rounding.";
        string answer = (holds, fails) switch
        {
            (_, 0) => "yes",
            (0, _) => "no",
            _ => holds >= fails ? "mostly" : "mostly not",
        };
        string where =
            unknown == 0
                ? $"{holds} of {holds + fails} matrices"
                : $"{holds} of the {holds + fails} matrices that changed measurably";
        return $"{claim}: {answer}. It holds in {where}; {numbers}.";
    }

    private static string Mean(JsonNode model, string key, double factor, string format) =>
        Cell(model[key]?["mean"], factor, format).Text;

    private static PageCell Cell(JsonNode? value, double factor, string format) =>
        value is null
            ? new PageCell("–", double.NaN)
            : new PageCell((factor * (double)value).ToString(format, CultureInfo.InvariantCulture), (double)value);

    private static IEnumerable<(string, string)> Settings(JsonObject analysis)
    {
        foreach (string key in new[] { "base", "tuned", "adapter", "device" })
        {
            if (analysis[key] is { } value)
                yield return (key, (string)value!);
        }

        foreach ((string key, JsonNode? value) in analysis["settings"]!.AsObject())
        {
            yield return (
                key.Replace('_', ' '),
                value is JsonArray list ? string.Join(", ", list) : value?.ToString() ?? "–"
            );
        }
    }

    private static string Tuned(JsonObject analysis) =>
        Leaf((string?)analysis["tuned"] ?? (string?)analysis["adapter"] ?? "");

    private static string Leaf(string path) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(path)) is { Length: > 0 } name ? name : path;
}
