using System.Globalization;

namespace Spectral.Bench.Reports;

/// <summary>
/// One aligned line per variant: case and shape, variant, µs, spread, rate, share of the ceiling, ratios to plain, A
/// and B.
/// </summary>
internal static class Table
{
    private const string Layout = "{0,-58} {1,-27} {2,11} {3,-17} {4,4} {5,13} {6,6} {7,7} {8,7} {9,7}  {10}";

    public static string Header { get; } =
        Line("case shape", "variant", "us", "p10-p90", "n", "rate", "% ceil", "/plain", "/A", "/B", "");

    public static string Line(Result result) =>
        Line(
            $"{result.Case} {result.Shape}",
            result.Variant,
            result.MedianUs is { } median ? Number(median) : result.Status,
            Spread(result),
            result.Samples > 0 ? result.Samples.ToString(CultureInfo.InvariantCulture) : "-",
            Rate(result),
            result.PercentOfCeiling?.ToString("F1", CultureInfo.InvariantCulture) ?? "-",
            Ratio(result.RatioToPlain),
            Ratio(result.RatioToA),
            Ratio(result.RatioToB),
            Remarks(result)
        );

    private static string Line(params string[] fields) =>
        string.Format(CultureInfo.InvariantCulture, Layout, [.. fields]).TrimEnd();

    private static string Spread(Result result) =>
        result is { P10Us: { } low, P90Us: { } high } ? $"{Number(low)}-{Number(high)}" : "-";

    private static string Rate(Result result) =>
        result switch
        {
            { Bound: "compute", Tflops: { } tflops } => $"{Number(tflops)} TFLOP/s",
            { GbPerS: { } bytes } => $"{Number(bytes)} GB/s",
            _ => "-",
        };

    private static string Remarks(Result result) =>
        string.Join(
            ", ",
            new[] { result.Note }
                .OfType<string>()
                .Concat(
                    result.Figures.Select(figure =>
                        $"{figure.Key}={figure.Value.ToString("G5", CultureInfo.InvariantCulture)}"
                    )
                )
        );

    private static string Ratio(double? ratio) => ratio?.ToString("F3", CultureInfo.InvariantCulture) ?? "-";

    private static string Number(double value) =>
        value.ToString(
            value switch
            {
                >= 1000 => "F0",
                >= 100 => "F1",
                >= 1 => "F2",
                _ => "F4",
            },
            CultureInfo.InvariantCulture
        );
}
