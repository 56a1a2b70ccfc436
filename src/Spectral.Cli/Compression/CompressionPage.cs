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
        if (CompressionReport.WholeInWords(made) is { } whole)
            page.Paragraph($"{whole}.");
        page.Chart(Chart(made));
        page.Settings(settings);
        return page.Render();
    }

    private static JsonObject Chart(CompressionResult made) =>
        new()
        {
            ["kind"] = "strip",
            ["id"] = "errors",
            ["title"] = "What is lost of the change, by kind of layer",
            ["explanation"] = "One dot per layer, and a stroke at their mean.",
            ["value"] = new JsonObject { ["label"] = "error, %", ["zero"] = true },
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
                                        .. kind.Select(layer => (JsonNode)new JsonArray(layer.Name, 100 * layer.Error)),
                                    ]),
                                }
                    ),
            ]),
        };
}
