using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Spectral.Kernels.Linalg;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// Turns an analysis into JSON: the records' properties with names_like_this, ten digits, null for what is not defined.
/// </summary>
internal static class SpectraJson
{
    /// <summary>Returns the object that <c>analyze --json</c> prints.</summary>
    public static JsonObject Of(SpectraReport report)
    {
        var result = new JsonObject
        {
            ["base"] = report.Base,
            ["tuned"] = report.Tuned,
            ["adapter"] = report.Adapter,
            ["device"] = report.Device,
            ["settings"] = Of(report.Settings),
            ["mitigation"] = JsonSerializer.SerializeToNode(
                report.Mitigation,
                SpectraJsonContext.Default.MitigationReport
            ),
            ["principal"] = JsonSerializer.SerializeToNode(
                report.Principal,
                SpectraJsonContext.Default.PrincipalReport
            ),
            ["trace"] = JsonSerializer.SerializeToNode(report.Trace, SpectraJsonContext.Default.TraceReport),
            ["forgetting"] = JsonSerializer.SerializeToNode(
                report.Forgetting,
                SpectraJsonContext.Default.ForgettingReport
            ),
        };
        JsonNode spectra = JsonSerializer.SerializeToNode(report.Spectra, SpectraJsonContext.Default.ModelSpectra)!;
        foreach ((string key, JsonNode? value) in spectra.AsObject())
            result[key] = value?.DeepClone();
        return result;
    }

    /// <summary>Returns the settings of an analysis as an object.</summary>
    public static JsonObject Of(SpectraOptions options) =>
        JsonSerializer.SerializeToNode(options, SpectraJsonContext.Default.SpectraOptions)!.AsObject();
}

/// <summary>Writes the method of an SVD as the option that asks for it.</summary>
internal sealed class SvdMethodName() : JsonStringEnumConverter<SvdMethod>(JsonNamingPolicy.SnakeCaseLower);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    Converters = [typeof(TenDigits), typeof(SvdMethodName)]
)]
[JsonSerializable(typeof(ModelSpectra))]
[JsonSerializable(typeof(SpectraOptions))]
[JsonSerializable(typeof(MitigationReport))]
[JsonSerializable(typeof(PrincipalReport))]
[JsonSerializable(typeof(TraceReport))]
[JsonSerializable(typeof(ForgettingReport))]
internal sealed partial class SpectraJsonContext : JsonSerializerContext;
