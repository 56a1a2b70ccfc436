using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// The part of an analysis that the page's script needs, with the names of --json. Numbers have four digits instead of
/// ten, and long profiles only the positions that a screen can show. So the page of hundreds of matrices stays below a
/// megabyte, while the whole object has tens. <c>web/src/spectra/types.ts</c> declares the same types for the script.
/// </summary>
internal sealed record PageSpectra(
    SpectraOptions Settings,
    PageModel Model,
    IReadOnlyList<PageModule> Modules,
    IReadOnlyList<PageMatrix> Matrices,
    TraceReport? Trace
)
{
    // The limit for all profiles together; a number takes about seven bytes.
    private const int MostNumbers = 20_000;
    private const int ProfilesOfAMatrix = 9;
    private const int LeastPositions = 24;
    private const int MostPositions = 160;

    /// <summary>Selects what the script needs from an analysis.</summary>
    public static PageSpectra Of(SpectraReport report)
    {
        ModelSpectra spectra = report.Spectra;
        int most = Math.Clamp(
            MostNumbers / ProfilesOfAMatrix / Math.Max(1, spectra.Matrices.Count),
            LeastPositions,
            MostPositions
        );
        return new PageSpectra(
            report.Settings,
            new PageModel(spectra.Model.Profile, spectra.Model.Intruders),
            [.. spectra.Modules.Select(module => new PageModule(module.Module, module.Profile))],
            [.. spectra.Matrices.Select(matrix => PageMatrix.Of(matrix, most))],
            report.Trace
        );
    }

    /// <summary>Returns the JSON that the page contains.</summary>
    public JsonNode ToJson() => JsonSerializer.SerializeToNode(this, PageSpectraContext.Default.PageSpectra)!;
}

/// <summary>The spectrum of all matrices together.</summary>
internal sealed record PageModel(double[] Profile, IReadOnlyList<IntruderTotal> Intruders);

/// <summary>The spectrum of the matrices of one module type.</summary>
internal sealed record PageModule(string? Module, double[] Profile);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    Converters = [typeof(FourDigits), typeof(SvdMethodName)]
)]
[JsonSerializable(typeof(PageSpectra))]
internal sealed partial class PageSpectraContext : JsonSerializerContext;
