using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Output;

internal static class JsonOutput
{
    private static readonly JsonWriterOptions Readable = new()
    {
        Indented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>JSON has no NaN and no infinity: they become null.</summary>
    public static JsonNode? Number(double? value) =>
        value is { } number && double.IsFinite(number) ? JsonValue.Create(number) : null;

    public static JsonArray Array(IEnumerable<int> values) =>
        new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    public static JsonArray Array(IEnumerable<string> values) =>
        new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    /// <summary>Writes UTF-8 whatever the console's encoding is, in one piece.</summary>
    public static void Print(JsonObject result)
    {
        using var buffer = new MemoryStream();
        Write(result, buffer);
        using Stream output = Console.OpenStandardOutput();
        buffer.WriteTo(output);
    }

    /// <summary>The same text for a file.</summary>
    public static void Write(JsonObject result, Stream output)
    {
        using (var writer = new Utf8JsonWriter(output, Readable))
            result.WriteTo(writer);
        output.WriteByte((byte)'\n');
    }
}
