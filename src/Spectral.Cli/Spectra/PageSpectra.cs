using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// What the page's script needs of an analysis, under the names of --json: four digits instead of ten, and of long
/// profiles the positions that a screen can show. A page of hundreds of matrices stays below a megabyte, where the
/// whole object has tens. <c>web/src/spectra/types.ts</c> declares the same for the script.
/// </summary>
internal sealed record PageSpectra(
    SpectraOptions Settings,
    PageModel Model,
    IReadOnlyList<PageModule> Modules,
    IReadOnlyList<PageMatrix> Matrices
)
{
    // Numbers of all profiles together, about seven bytes each.
    private const int MostNumbers = 20_000;
    private const int ProfilesOfAMatrix = 7;
    private const int LeastPositions = 24;
    private const int MostPositions = 160;

    /// <summary>Takes from an analysis what the script needs.</summary>
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
            [.. spectra.Matrices.Select(matrix => PageMatrix.Of(matrix, most))]
        );
    }

    /// <summary>Returns it as the page embeds it.</summary>
    public JsonNode ToJson() => JsonSerializer.SerializeToNode(this, PageSpectraContext.Default.PageSpectra)!;
}

/// <summary>All matrices together.</summary>
internal sealed record PageModel(double[] Profile, IReadOnlyList<IntruderTotal> Intruders);

/// <summary>The matrices of one module type.</summary>
internal sealed record PageModule(string? Module, double[] Profile);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    Converters = [typeof(FourDigits), typeof(SvdMethodName)]
)]
[JsonSerializable(typeof(PageSpectra))]
internal sealed partial class PageSpectraContext : JsonSerializerContext;
