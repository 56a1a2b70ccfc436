using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training;
using Spectral.Training.Adapters;

namespace Spectral.Cli.Evaluation;

/// <summary>Which expert or adapter took how many records, and how well it did on them.</summary>
/// <param name="key">The key in JSON.</param>
/// <param name="title">The title of the column of names.</param>
/// <param name="parts">Each name with what is known of it and its scores; null if it took no records.</param>
internal sealed class ScoresByAdapter(
    string key,
    string title,
    IReadOnlyList<(string Name, (string Key, string Value)? Fact, EvaluationResult? Result)> parts
)
{
    /// <summary>The scores of experts, with their folders.</summary>
    public static ScoresByAdapter Of(RoutedEvaluation scores) =>
        new(
            "experts",
            "expert",
            [
                .. scores.Experts.Select(score =>
                    (
                        score.Expert.Name,
                        ((string, string)?)("folder", Path.GetFileName(score.Expert.Directory)),
                        score.Result
                    )
                ),
            ]
        );

    /// <summary>The scores of adapters, with the reason where one did not share batches with others.</summary>
    public static ScoresByAdapter Of(AdapterScores scores, AdapterSet adapters) =>
        new(
            "adapters",
            "adapter",
            [
                .. scores.Adapters.Select(score =>
                    (
                        score.Name,
                        adapters.WhyAlone(score.Name) is { } reason ? ((string, string)?)("alone", reason) : null,
                        score.Result
                    )
                ),
                .. scores.Base is { } plain ? new[] { ("", ((string, string)?)null, (EvaluationResult?)plain) } : [],
            ]
        );

    /// <summary>Adds the scores to a result. The name of the base is null.</summary>
    public void AddTo(JsonObject result) =>
        result[key] = new JsonArray([
            .. parts.Select(part =>
            {
                JsonObject json = new() { ["name"] = part.Name.Length == 0 ? null : part.Name };
                if (part.Fact is { } fact)
                    json[fact.Key] = fact.Value;
                json["records"] = part.Result?.Records ?? 0;
                json["loss"] = JsonOutput.Number(part.Result?.Loss);
                json["exact_match"] = JsonOutput.Number(part.Result?.ExactMatch);
                return (JsonNode)json;
            }),
        ]);

    public void Print(Terminal terminal) =>
        terminal.Table(
            [title, "records", "loss", "exact match"],
            [
                .. parts.Select(part =>
                    (string[])
                        [
                            part.Name.Length == 0 ? "(base)" : part.Name,
                            (part.Result?.Records ?? 0).ToString("N0", CultureInfo.InvariantCulture),
                            part.Result?.Loss.ToString("0.0000", CultureInfo.InvariantCulture) ?? "",
                            part.Result?.ExactMatch is { } match
                                ? string.Create(CultureInfo.InvariantCulture, $"{100 * match:0.0} %")
                                : "",
                        ]
                ),
            ]
        );
}
