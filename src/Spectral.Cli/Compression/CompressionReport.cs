using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training.Compression;

namespace Spectral.Cli.Compression;

/// <summary>What a compression made, as JSON and on the terminal.</summary>
internal static class CompressionReport
{
    public static JsonObject Json(CompressionResult made) =>
        new()
        {
            ["tensors"] = made.Tensors,
            ["bytes_before"] = made.BytesBefore,
            ["bytes_after"] = made.BytesAfter,
            ["bits_per_parameter"] = JsonOutput.Number(made.BitsPerParameter),
            ["error"] = JsonOutput.Number(made.Error),
            ["calibrated"] = Calibrated(made.Calibrated),
            ["whole"] = JsonOutput.Array(made.Whole),
            ["layers"] = new JsonArray([
                .. made.Layers.Select(layer =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["name"] = layer.Name,
                            ["shape"] = new JsonArray(layer.Outputs, layer.Inputs),
                            ["rank_before"] = layer.RankBefore,
                            ["rank"] = layer.Rank,
                            ["bits_per_parameter"] = JsonOutput.Number(layer.Bits),
                            ["error"] = JsonOutput.Number(layer.Error),
                            ["calibrated"] = Calibrated(layer.Calibrated),
                        }
                ),
            ]),
        };

    public static void Print(Terminal terminal, CompressionResult made, string folder, OutputFile? page)
    {
        CompressionTable table = new(made);
        terminal.Table([.. table.Columns], [.. table.Rows.Select(row => (string[])[.. row.Select(cell => cell.Text)])]);
        terminal.Line(InWords(made));
        if (WholeInWords(made) is { } whole)
            terminal.Line(whole);
        terminal.Line($"wrote {made.Tensors} tensors to {folder}");
        if (page is not null)
            terminal.Line($"page: {page.FullPath}");
    }

    /// <summary>Returns sizes and error in a sentence.</summary>
    public static string InWords(CompressionResult made) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{made.BytesBefore} bytes before, {made.BytesAfter} after, {made.BitsPerParameter:0.###} bits per "
                + $"parameter; it lacks {CompressionTable.Percent(made.Error)} of the change's norm"
        ) + (made.Calibrated is { } calibrated ? InWords(calibrated) : "");

    private static string InWords(CalibratedErrors errors) =>
        $", and on the records {CompressionTable.Percent(errors.Outputs)} of what the change adds to the layers' "
        + $"outputs; rounded to nearest it would lack {CompressionTable.Percent(errors.Nearest)} and "
        + $"{CompressionTable.Percent(errors.NearestOutputs)}";

    private static JsonObject? Calibrated(CalibratedErrors? errors) =>
        errors is null
            ? null
            : new JsonObject
            {
                ["output_error"] = JsonOutput.Number(errors.Outputs),
                ["nearest_error"] = JsonOutput.Number(errors.Nearest),
                ["nearest_output_error"] = JsonOutput.Number(errors.NearestOutputs),
            };

    /// <summary>Returns what is not compressed in a sentence; null if there is nothing.</summary>
    public static string? WholeInWords(CompressionResult made) =>
        made.Whole is [var first, ..] ? $"{made.Whole.Count} tensors are stored whole, such as {first}" : null;
}
