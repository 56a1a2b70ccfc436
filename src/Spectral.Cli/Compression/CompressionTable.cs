using System.Globalization;
using Spectral.Cli.Reports;
using Spectral.Training.Compression;

namespace Spectral.Cli.Compression;

/// <summary>
/// The table of a compression's layers, with columns for ranks and for calibration only where there are any.
/// </summary>
internal sealed class CompressionTable
{
    public CompressionTable(CompressionResult made)
    {
        (string Head, Func<CompressedLayer, PageCell> Cell)[] columns =
        [
            ("layer", layer => new PageCell(layer.Name)),
            ("shape", layer => new PageCell($"{layer.Outputs} x {layer.Inputs}", (double)layer.Outputs * layer.Inputs)),
            ("rank before", layer => new PageCell($"{layer.RankBefore}", layer.RankBefore)),
            ("rank", layer => new PageCell($"{layer.Rank}", layer.Rank)),
            ("bits", layer => new PageCell(layer.Bits.ToString("0.###", CultureInfo.InvariantCulture), layer.Bits)),
            ("error", layer => ErrorCell(layer.Error)),
            ("output error", layer => ErrorCell(layer.Calibrated?.Outputs)),
            ("error to nearest", layer => ErrorCell(layer.Calibrated?.Nearest)),
            ("output error to nearest", layer => ErrorCell(layer.Calibrated?.NearestOutputs)),
        ];
        columns = [.. columns.Where(column => made.Layers.Any(layer => column.Cell(layer).Text != ""))];
        Columns = [.. columns.Select(column => column.Head)];
        Rows = [.. made.Layers.Select(layer => (PageCell[])[.. columns.Select(column => column.Cell(layer))])];
    }

    /// <summary>The column heads.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>One row for each layer.</summary>
    public IReadOnlyList<PageCell[]> Rows { get; }

    private static PageCell ErrorCell(double? error) =>
        error is { } share ? new PageCell(Percent(share), share) : new PageCell("");

    public static string Percent(double error) => string.Create(CultureInfo.InvariantCulture, $"{100 * error:F4} %");
}
