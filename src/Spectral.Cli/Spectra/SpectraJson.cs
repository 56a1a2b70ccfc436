using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// An analysis as JSON: the records' properties with names_like_this, ten digits, null for what is not defined.
/// </summary>
internal static class SpectraJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new TenDigits(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>The members of the analysis, after those given.</summary>
    public static JsonObject Of(ModelSpectra spectra, params ReadOnlySpan<(string Key, JsonNode? Value)> before)
    {
        var result = new JsonObject();
        foreach ((string key, JsonNode? value) in before)
            result[key] = value;
        foreach ((string key, JsonNode? value) in JsonSerializer.SerializeToNode(spectra, Options)!.AsObject())
            result[key] = value?.DeepClone();
        return result;
    }

    /// <summary>The settings of an analysis.</summary>
    public static JsonNode Of(SpectraOptions options) => JsonSerializer.SerializeToNode(options, Options)!;

    private sealed class TenDigits : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value))
                writer.WriteRawValue(value.ToString("G10", CultureInfo.InvariantCulture));
            else
                writer.WriteNullValue();
        }
    }
}
