using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training.Placement;

namespace Spectral.Cli.Placement;

/// <summary>A placement as a table, as JSON and as a file for --rank-pattern.</summary>
internal static class PlacementReport
{
    /// <summary>Returns the ranks of all layers, one on a line, for <c>--rank-pattern @FILE</c>.</summary>
    public static string Pattern(PlacementResult placed, PlacementMethod method, int rank)
    {
        var text = new StringBuilder(
            string.Create(CultureInfo.InvariantCulture, $"# spectral place --method {method.Name} --rank {rank}\n")
        );
        foreach ((string name, int of) in placed.RankPattern)
            text.Append(CultureInfo.InvariantCulture, $"{name}={of}\n");
        return text.ToString();
    }

    /// <summary>Returns the layers that train their bias, one on a line, for <c>--bias @FILE</c>.</summary>
    public static string Biases(PlacementResult placed, PlacementMethod method) =>
        $"# spectral place --method {method.Name}\n{string.Join('\n', placed.Biases)}\n";

    public static JsonObject Json(PlacementResult placed, PlacementMethod method) =>
        new()
        {
            ["method"] = method.Name,
            ["adapter"] = placed.Adapter,
            ["trainable_parameters"] = placed.Trainable,
            ["adapted"] = placed.Modules.Count(module => module.Rank > 0),
            ["modules"] = new JsonArray([.. placed.Modules.Select(module => (JsonNode)Json(module))]),
            ["notes"] = JsonOutput.Array(placed.Notes),
        };

    public static void Print(Terminal terminal, PlacementResult placed, PlacementMethod method, string? path)
    {
        terminal.Table(
            ["layer", "rank", "single weights", "bias", "trainable", "score"],
            [.. placed.Modules.Select(Row)]
        );
        if (method.ScoreOf is { } score)
            terminal.Line($"score: {score}");
        foreach (string note in placed.Notes)
            terminal.Line(note);
        terminal.Line(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{placed.Modules.Count(module => module.Rank > 0)} of {placed.Modules.Count} layers get an adapter; "
            ) + string.Create(CultureInfo.InvariantCulture, $"{placed.Trainable:N0} trainable parameters")
        );
        if (path is not null)
        {
            string adapter = placed.Adapter is { } name ? $"--adapter {name} " : "";
            terminal.Line($"wrote {path}: spectral finetune {adapter}--rank-pattern @{path}");
        }
    }

    private static string[] Row(PlacedModule module) =>
        [
            module.Module.Name,
            Number(module.Rank),
            Number(module.Entries),
            module.TrainsBias && module.Module.HasBias ? "yes" : "",
            Number(module.Trainable),
            module.Score?.ToString("G5", CultureInfo.InvariantCulture) ?? "",
        ];

    private static string Number(long value) => value == 0 ? "" : value.ToString("N0", CultureInfo.InvariantCulture);

    private static JsonObject Json(PlacedModule module) =>
        new()
        {
            ["name"] = module.Module.Name,
            ["shape"] = new JsonArray(module.Module.Out, module.Module.In),
            ["rank"] = module.Rank,
            ["single_weights"] = module.Entries,
            ["trains_bias"] = module.TrainsBias && module.Module.HasBias,
            ["trainable_parameters"] = module.Trainable,
            ["score"] = JsonOutput.Number(module.Score),
        };
}
