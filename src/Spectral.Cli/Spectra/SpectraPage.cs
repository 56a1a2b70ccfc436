using System.Globalization;
using System.Text.Json.Nodes;

namespace Spectral.Cli;

/// <summary>The page of an analysis: the table of its matrices, from the same object that --json prints.</summary>
internal static class SpectraPage
{
    private static readonly string[] Heads = ["matrix", "relative change", "growth of the top", "z", "similarity left", "similarity right", "verdict"];

    public static string Render(JsonObject analysis)
    {
        var page = new HtmlPage("Weight spectra", $"{analysis["tuned"]?.GetValue<string>() ?? analysis["adapter"]!.GetValue<string>()} beside {analysis["base"]!.GetValue<string>()}");
        page.Table("Matrices compared", Heads, [.. analysis["matrices"]!.AsArray().Select(matrix => Row(matrix!))], sortable: true);
        return page.Render();
    }

    private static PageCell[] Row(JsonNode matrix)
    {
        JsonNode subspace = OfTop(matrix, "subspaces");
        return
        [
            new((string)matrix["name"]!), Number(matrix["norms"]!["relative"]), Number(OfTop(matrix, "amplification")["share"]), Number(matrix["verdict"]!["amplification_z"]),
            Number(subspace["left"]!["similarity"]), Number(subspace["right"]!["similarity"]), new(string.Join("; ", matrix["verdict"]!["lines"]!.AsArray())),
        ];
    }

    private static JsonNode OfTop(JsonNode matrix, string list) => matrix[list]!.AsArray().First(entry => (int)entry!["k"]! == (int)matrix["top_k"]!)!;

    private static PageCell Number(JsonNode? node) =>
        node?.GetValue<double>() is { } value ? new(value.ToString("0.####", CultureInfo.InvariantCulture), value) : new("–", double.NaN);
}
