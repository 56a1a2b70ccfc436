using System.Text.Json.Nodes;
using Spectral.Cli.Reports;
using Spectral.Training.Compression;

namespace Spectral.Cli.Compression;

/// <summary>The page of a compression: sizes and errors of all layers, and the settings.</summary>
internal static class CompressionPage
{
    /// <param name="name">The name of the result.</param>
    /// <param name="made">What the compression made.</param>
    /// <param name="settings">Rows of the table of settings.</param>
    public static string Render(string name, CompressionResult made, IEnumerable<(string Name, string Value)> settings)
    {
        var page = new HtmlPage($"Compression: {name}", $"{CompressionReport.InWords(made)}.");
        CompressionTable table = new(made);
        page.Table("Layers compressed", table.Columns, table.Rows, sortable: true);
        page.Paragraph(
            "Bits are what is stored for the change of a layer, per weight of the layer. The error is the Frobenius "
                + "norm of what is lost of the change, relative to that of the change."
        );
        if (made.Calibrated is not null)
        {
            page.Paragraph(
                "The output error is that of X ΔWᵀ, with the inputs X that the layer has on the records: the share of "
                    + "what the change adds to the layer's outputs that is lost. The columns to nearest are what the "
                    + "same bits would give if each entry went to its nearest level."
            );
        }
        if (CompressionReport.WholeInWords(made) is { } whole)
            page.Paragraph($"{whole}.");
        page.Chart(Chart(made, "errors", "What is lost of the change", "error, %", layer => layer.Error));
        if (made.Calibrated is not null)
        {
            page.Chart(
                Chart(
                    made,
                    "output-errors",
                    "What is lost of the change's outputs on the records",
                    "output error, %",
                    layer => layer.Calibrated!.Outputs
                )
            );
        }
        page.Settings(settings);
        return page.Render();
    }

    private static JsonObject Chart(
        CompressionResult made,
        string id,
        string title,
        string label,
        Func<CompressedLayer, double> error
    ) =>
        new()
        {
            ["kind"] = "strip",
            ["id"] = id,
            ["title"] = $"{title}, by kind of layer",
            ["explanation"] = "One dot per layer, and a stroke at their mean.",
            ["value"] = new JsonObject { ["label"] = label, ["zero"] = true },
            ["each"] = "layer",
            ["rows"] = new JsonArray([
                .. made
                    .Layers.GroupBy(layer => layer.Name[(layer.Name.LastIndexOf('.') + 1)..])
                    .Select(
                        (kind, slot) =>
                            (JsonNode)
                                new JsonObject
                                {
                                    ["name"] = kind.Key,
                                    ["slot"] = slot,
                                    ["values"] = new JsonArray([
                                        .. kind.Select(layer =>
                                            (JsonNode)new JsonArray(layer.Name, 100 * error(layer))
                                        ),
                                    ]),
                                }
                    ),
            ]),
        };
}
