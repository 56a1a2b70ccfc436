using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Training.IO;

/// <summary>
/// Copies a model's <c>config.json</c> for weights of another stored type, or with a head that is no longer tied.
/// Without such a change the copy has the same bytes.
/// </summary>
internal static class ConfigCopy
{
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
    public static void Write(string source, string directory, StoredType? type, bool isUntied = false)
    {
        string path = FolderFile.At(source, Name);
        string copy = Path.Combine(directory, Name);
        if (type is null && !isUntied)
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
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonObject config = JsonObject.Create(document.RootElement)!;
        if (isUntied)
            config["tie_word_embeddings"] = false;
        string[] present = [.. new[] { Key, NewKey }.Where(config.ContainsKey)];
        foreach (string key in type is null ? [] : present.DefaultIfEmpty(Key))
            config[key] = TorchName(type!.Value);
        AtomicFile.Write(
            copy,
            stream =>
            {
                using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
                config.WriteTo(json);
            }
        );
    }

    private static string TorchName(StoredType type) =>
        type switch
        {
            StoredType.F32 => "float32",
            StoredType.F16 => "float16",
            StoredType.BF16 => "bfloat16",
            _ => "float64",
        };
}
