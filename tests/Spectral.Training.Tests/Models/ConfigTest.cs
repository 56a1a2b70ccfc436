using System.Text.Json.Nodes;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>The base of tests that load a small config with changed keys.</summary>
public abstract class ConfigTest : FolderTest
{
    private protected ModelConfig Load(params (string Key, string Json)[] changes) =>
        TinyModel.WriteConfig(folder, Json(changes));

    private protected static JsonObject Json(params (string Key, string Json)[] changes)
    {
        JsonObject json = TinyModel.ConfigJson();
        foreach ((string key, string value) in changes)
            json[key] = JsonNode.Parse(value);
        return json;
    }

    /// <summary>Loads the config of another family with further keys.</summary>
    private protected ModelConfig LoadWith(string type, string keys, params (string Key, string Json)[] changes)
    {
        JsonObject json = Json([("model_type", $"\"{type}\""), .. changes]);
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        return TinyModel.WriteConfig(folder, json);
    }

    // A config without the keys that families have defaults for, with others.
    private protected ModelConfig WithKeys(string type, string keys, params (string Key, string Json)[] changes)
    {
        JsonObject json = Json([("model_type", $"\"{type}\""), .. changes]);
        json.Remove("tie_word_embeddings");
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            json[key] = value?.DeepClone();
        return TinyModel.WriteConfig(folder, json);
    }
}
