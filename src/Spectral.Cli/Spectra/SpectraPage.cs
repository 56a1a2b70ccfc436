using System.Globalization;
using System.Text.Json.Nodes;

namespace Spectral.Cli;

/// <summary>The page of an analysis: the table of its matrices, from the same object that --json prints.</summary>
internal static class SpectraPage
{
    private static readonly string[] Heads = ["matrix", "relative change", "growth of the top", "z", "similarity left", "similarity right", "verdict"];

    public static string Render(JsonObject analysis)
    {
        var page = new HtmlPage("Weight spectra", $"{analysis["tuned"]?.GetValue<string>() ?? analysis["adapter"]!.GetValue<string>()} beside {analysis["base"]!.GetValue<string>()}", "body{max-width:80rem}");
        page.Raw($"<table>\n<tr>{string.Concat(Heads.Select(head => $"<th scope=\"col\">{head}</th>"))}</tr>\n");
        foreach (JsonNode? matrix in analysis["matrices"]!.AsArray())
        {
            JsonNode subspace = matrix!["subspaces"]!.AsArray().First(entry => (int)entry!["k"]! == (int)matrix["top_k"]!)!;
            JsonNode share = matrix["amplification"]!.AsArray().First(entry => (int)entry!["k"]! == (int)matrix["top_k"]!)!;
            string[] fields = [Number(matrix["norms"]!["relative"]), Number(share["share"]), Number(matrix["verdict"]!["amplification_z"]), Number(subspace["left"]!["similarity"]), Number(subspace["right"]!["similarity"])];
            page.Raw($"<tr><th scope=\"row\">{HtmlPage.Escape((string)matrix["name"]!)}</th>{string.Concat(fields.Select(field => $"<td class=\"number\">{field}</td>"))}"
                + $"<td>{string.Join("<br>", matrix["verdict"]!["lines"]!.AsArray().Select(line => HtmlPage.Escape((string)line!)))}</td></tr>\n");
        }
        page.Raw("</table>\n");
        return page.Render();
    }

    private static string Number(JsonNode? value) => value is null ? "–" : value.GetValue<double>().ToString("0.####", CultureInfo.InvariantCulture);
}
