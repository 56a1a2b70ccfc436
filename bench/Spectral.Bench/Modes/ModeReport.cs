using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Bench.Modes;

/// <summary>Comparisons of the modes for people, an aligned line each, and for programs.</summary>
internal static class ModeReport
{
    /// <summary>The most that PTX may take, and PTX with counters, as multiples of the source build.</summary>
    public const double MostPtx = 4;

    /// <inheritdoc cref="MostPtx"/>
    public const double MostCounted = 30;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static string Header { get; } =
        Line(
            "case shape",
            "variant",
            "source us",
            "median",
            "PTX us",
            "median",
            "x",
            "counted us",
            "median",
            "x",
            "kernels"
        );

    public static string Line(ModeComparison times) =>
        Line(
            $"{times.Case} {times.Shape}",
            times.Variant,
            Microseconds(times.Source.Least),
            Microseconds(times.Source.Median),
            Microseconds(times.Ptx.Least),
            Microseconds(times.Ptx.Median),
            Ratio(times.PtxRatio),
            Microseconds(times.Counted.Least),
            Microseconds(times.Counted.Median),
            Ratio(times.CountedRatio),
            string.Join(", ", times.Kernels)
        );

    /// <summary>How many lines keep within the bounds, and the worst of each.</summary>
    public static string Summary(IReadOnlyList<ModeComparison> all) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"PTX at most {MostPtx} x: {all.Count(times => times.PtxRatio <= MostPtx)} of {all.Count}, worst "
                + $"{all.Max(times => times.PtxRatio):F1} x; counted at most {MostCounted} x: "
                + $"{all.Count(times => times.CountedRatio <= MostCounted)} of {all.Count}, worst "
                + $"{all.Max(times => times.CountedRatio):F1} x"
        );

    public static string Json(string target, (int Modules, double Milliseconds) load, IEnumerable<ModeComparison> all)
    {
        var root = new JsonObject
        {
            ["schema"] = "spectral-modes/1",
            ["ptx"] = target,
            ["clock"] = "processor",
            ["modules"] = load.Modules,
            ["load_ms"] = load.Milliseconds,
            ["variants"] = new JsonArray([.. all.Select(Describe)]),
        };
        return root.ToJsonString(Indented) + "\n";
    }

    private static JsonNode Describe(ModeComparison times) =>
        new JsonObject
        {
            ["case"] = times.Case,
            ["shape"] = times.Shape,
            ["variant"] = times.Variant,
            ["kernels"] = new JsonArray([.. times.Kernels.Select(kernel => (JsonNode)kernel)]),
            ["source_us"] = Describe(times.Source),
            ["ptx_us"] = Describe(times.Ptx),
            ["ptx_ratio"] = times.PtxRatio,
            ["counted_us"] = Describe(times.Counted),
            ["counted_ratio"] = times.CountedRatio,
        };

    private static JsonObject Describe(ModeTimes times) =>
        new()
        {
            ["least"] = times.Least,
            ["median"] = times.Median,
            ["most"] = times.Most,
        };

    private static string Line(
        string place,
        string variant,
        string source,
        string sourceMedian,
        string ptx,
        string ptxMedian,
        string ptxRatio,
        string counted,
        string countedMedian,
        string countedRatio,
        string kernels
    ) =>
        $"{place, -46} {variant, -20} {source, 10} {sourceMedian, 9} {ptx, 10} {ptxMedian, 9} {ptxRatio, 5} "
        + $"{counted, 10} {countedMedian, 9} {countedRatio, 5}  {kernels}";

    private static string Microseconds(double value) => value.ToString("F1", CultureInfo.InvariantCulture);

    private static string Ratio(double value) => value.ToString("F1", CultureInfo.InvariantCulture);
}
