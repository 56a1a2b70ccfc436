using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Spectral.Training.IO;

/// <summary>
/// Deserialises records whose properties have initial values. Generated serialisers would set an <c>init</c> property
/// that the text lacks to zero.
/// </summary>
internal static class JsonDefaults
{
    /// <summary>Deserialises a text after adding default values to it.</summary>
    /// <param name="json">The JSON text.</param>
    /// <param name="type">The type of its contents.</param>
    /// <param name="defaults">
    /// The properties to add where the text lacks them, by the name of an object in the text.
    /// </param>
    /// <returns>The value; null if the text is <c>null</c>.</returns>
    /// <exception cref="JsonException">The text is not JSON, or not of that type.</exception>
    public static T? Deserialize<T>(string json, JsonTypeInfo<T> type, JsonObject defaults)
    {
        var root = JsonNode.Parse(json);
        foreach ((string key, JsonNode? initial) in defaults)
        {
            if (root is JsonObject given && given[key] is JsonObject part)
                Complete(part, initial!.AsObject());
        }
        return root.Deserialize(type);
    }

    private static void Complete(JsonObject given, JsonObject defaults)
    {
        foreach ((string key, JsonNode? initial) in defaults)
        {
            if (!given.ContainsKey(key))
                given[key] = initial?.DeepClone();
            else if (given[key] is JsonObject part && initial is JsonObject inner)
                Complete(part, inner);
        }
    }
}
