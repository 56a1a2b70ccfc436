using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Output;

/// <summary>Makes and prints the JSON that commands write.</summary>
internal static class JsonOutput
{
    private static readonly JsonWriterOptions Readable = new()
    {
        Indented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Returns a number as JSON; NaN and infinities, which JSON does not have, become null.</summary>
    public static JsonNode? Number(double? value) =>
        value is { } number && double.IsFinite(number) ? JsonValue.Create(number) : null;

    public static JsonArray Array(IEnumerable<int> values) =>
        new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    public static JsonArray Array(IEnumerable<string> values) =>
        new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    /// <summary>Prints an object on stdout at once, as UTF-8 whatever the console's encoding.</summary>
    public static void Print(JsonObject result)
    {
        using var buffer = new MemoryStream();
        Write(result, buffer);
        using Stream output = Console.OpenStandardOutput();
        buffer.WriteTo(output);
    }

    /// <summary>Writes an object to a stream, as <see cref="Print"/> does on stdout.</summary>
    public static void Write(JsonObject result, Stream output)
    {
        using (var writer = new Utf8JsonWriter(output, Readable))
            result.WriteTo(writer);
        output.WriteByte((byte)'\n');
    }
}
