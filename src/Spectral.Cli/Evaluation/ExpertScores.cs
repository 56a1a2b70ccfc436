using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training;

namespace Spectral.Cli.Evaluation;

/// <summary>Which expert took how many records, and how well it did on them.</summary>
internal static class ExpertScores
{
    public static JsonArray Json(RoutedEvaluation scores) =>
        new([
            .. scores.Experts.Select(score =>
                (JsonNode)
                    new JsonObject
                    {
                        ["name"] = score.Expert.Name,
                        ["folder"] = Path.GetFileName(score.Expert.Directory),
                        ["records"] = score.Result?.Records ?? 0,
                        ["loss"] = JsonOutput.Number(score.Result?.Loss),
                        ["exact_match"] = JsonOutput.Number(score.Result?.ExactMatch),
                    }
            ),
        ]);

    public static void Print(Terminal terminal, RoutedEvaluation scores) =>
        terminal.Table(
            ["expert", "records", "loss", "exact match"],
            [
                .. scores.Experts.Select(score =>
                    (string[])
                        [
                            score.Expert.Name,
                            (score.Result?.Records ?? 0).ToString("N0", CultureInfo.InvariantCulture),
                            score.Result?.Loss.ToString("0.0000", CultureInfo.InvariantCulture) ?? "",
                            score.Result?.ExactMatch is { } match
                                ? string.Create(CultureInfo.InvariantCulture, $"{100 * match:0.0} %")
                                : "",
                        ]
                ),
            ]
        );
}
