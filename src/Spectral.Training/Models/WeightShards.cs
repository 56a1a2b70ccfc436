using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Writes a model's weights in one file, or in several with an index, by the names of Hugging Face folders.
/// </summary>
internal static class WeightShards
{
    /// <summary>Writes the weights, and an index if they are in several files.</summary>
    /// <param name="directory">An existing folder.</param>
    /// <param name="tensors">
    /// The tensors, each with the one that it has in another model: those of one file stay together, and rows and
    /// columns are stored as there.
    /// </param>
    public static void Write(string directory, IEnumerable<(TensorToWrite Tensor, SafetensorsTensor Source)> tensors)
    {
        List<TensorToWrite>[] shards =
        [
            .. tensors
                .GroupBy(entry => entry.Source.Path, entry => entry.Tensor.StoredAs(entry.Source))
                .OrderBy(file => file.Key, StringComparer.Ordinal)
                .Select(file => file.ToList()),
        ];
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        if (shards.Length == 1)
        {
            SafetensorsWriter.Write(Path.Combine(directory, ModelFolder.SingleFile), shards[0], metadata);
            return;
        }

        for (int i = 0; i < shards.Length; i++)
            SafetensorsWriter.Write(Path.Combine(directory, NameOf(i, shards.Length)), shards[i], metadata);
        AtomicFile.Write(
            Path.Combine(directory, ModelFolder.IndexFile),
            stream =>
            {
                using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
                WriteIndex(json, shards);
            }
        );
    }

    private static void WriteIndex(Utf8JsonWriter json, IReadOnlyList<IReadOnlyList<TensorToWrite>> shards)
    {
        json.WriteStartObject();
        json.WriteStartObject("metadata");
        json.WriteNumber("total_size", shards.Sum(shard => shard.Sum(SafetensorsWriter.Bytes)));
        json.WriteEndObject();
        json.WriteStartObject("weight_map");
        foreach (
            (string tensor, string file) in shards
                .SelectMany((shard, i) => shard.Select(tensor => (tensor.Name, File: NameOf(i, shards.Count))))
                .OrderBy(entry => entry.Name, StringComparer.Ordinal)
        )
        {
            json.WriteString(tensor, file);
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string NameOf(int shard, int count) => $"model-{shard + 1:D5}-of-{count:D5}.safetensors";
}
