using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Training.IO;

/// <summary>
/// Copies a model's <c>config.json</c> for weights of another stored type, with a head that is no longer tied, or
/// quantised in another way or no longer. Without such a change the copy has the same bytes.
/// </summary>
internal static class ConfigCopy
{
    /// <summary>The keys under which configs describe quantised weights, the usual one first.</summary>
    public static readonly IReadOnlyList<string> QuantizationKeys = ["quantization_config", "compression_config"];

    private const string Name = "config.json";
    private const string Key = "torch_dtype";
    private const string NewKey = "dtype";
    private const long MaximumBytes = 1 << 20;

    /// <summary>
    /// Copies the config, with the type of the weights if one is given. It is written under the key that the config
    /// already has, or under that of older transformers if it has none.
    /// </summary>
    /// <param name="source">The model's folder.</param>
    /// <param name="directory">The folder of the result.</param>
    /// <param name="type">The type of the weights in the result; null: unchanged.</param>
    /// <param name="isUntied">Whether a head that was tied to the embedding no longer is.</param>
    /// <param name="quantization">How the weights of the result are quantised; null: they are not.</param>
    public static void Write(
        string source,
        string directory,
        StoredType? type,
        bool isUntied = false,
        JsonObject? quantization = null
    )
    {
        string path = FolderFile.At(source, Name);
        string copy = Path.Combine(directory, Name);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        bool wasQuantized = QuantizationKeys.Any(key => document.RootElement.TryGetProperty(key, out _));
        if (type is null && !isUntied && !wasQuantized && quantization is null)
        {
            AtomicFile.Write(
                copy,
                stream =>
                {
                    using FileStream original = File.OpenRead(path);
                    original.CopyTo(stream);
                }
            );
            return;
        }
        JsonObject config = JsonObject.Create(document.RootElement)!;
        if (isUntied)
            config["tie_word_embeddings"] = false;
        foreach (string key in QuantizationKeys)
            config.Remove(key);
        if (quantization is not null)
            config[QuantizationKeys[0]] = quantization;
        string[] present = [.. new[] { Key, NewKey }.Where(config.ContainsKey)];
        foreach (string key in type is null ? [] : present.DefaultIfEmpty(Key))
            config[key] = TorchTypes.NameOf(type!.Value);
        AtomicFile.Write(
            copy,
            stream =>
            {
                using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
                config.WriteTo(json);
            }
        );
    }
}
