using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Reads and writes the keys with which families give their linear layers biases.</summary>
internal static class BiasKeys
{
    /// <summary>The key of the biases of q, k, v and o.</summary>
    public const string Attention = "attention_bias";

    /// <summary>The key of the biases of the feed-forward layer.</summary>
    public const string Mlp = "mlp_bias";

    /// <summary>Reads the biases of q, k, v and o; without the key there are none.</summary>
    /// <exception cref="InputException">The value is not true or false.</exception>
    public static ModelConfig ReadAttention(JsonFields fields, ModelConfig config)
    {
        bool has = fields.Boolean(Attention) ?? false;
        return config with { QueryKeyValueBias = has, OutputBias = has };
    }

    /// <summary>Reads the biases of all linear layers; without the keys there are none.</summary>
    /// <exception cref="InputException">A value is not true or false.</exception>
    public static ModelConfig Read(JsonFields fields, ModelConfig config) =>
        ReadAttention(fields, config) with
        {
            MlpBias = fields.Boolean(Mlp) ?? false,
        };

    /// <summary>Writes whether q, k, v and o have biases.</summary>
    public static void WriteAttention(ModelConfig config, Utf8JsonWriter json) =>
        json.WriteBoolean(Attention, config.OutputBias);

    /// <summary>Writes whether the linear layers have biases.</summary>
    public static void Write(ModelConfig config, Utf8JsonWriter json)
    {
        WriteAttention(config, json);
        json.WriteBoolean(Mlp, config.MlpBias);
    }
}
