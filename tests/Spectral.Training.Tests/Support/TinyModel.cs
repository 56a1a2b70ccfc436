using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>A model folder small enough to be written by every test that needs one.</summary>
internal static class TinyModel
{
    public static JsonObject ConfigJson() =>
        new()
        {
            ["model_type"] = "llama",
            ["vocab_size"] = 11,
            ["hidden_size"] = 8,
            ["intermediate_size"] = 12,
            ["num_hidden_layers"] = 2,
            ["num_attention_heads"] = 2,
            ["num_key_value_heads"] = 1,
            ["rms_norm_eps"] = 1e-5,
            ["eos_token_id"] = 2,
        };

    public static ModelConfig WriteConfig(TemporaryFolder folder, JsonObject? json = null)
    {
        folder.Write("config.json", (json ?? ConfigJson()).ToJsonString());
        return ModelConfig.Load(folder.Path);
    }

    public static List<TensorToWrite> Tensors(ModelConfig config) =>
        [.. ModelTensors.For(config).Select((spec, index) => Numbered(spec.Name, spec.Shape, index))];

    public static TensorToWrite Numbered(
        string name,
        IReadOnlyList<long> shape,
        int seed = 0,
        StoredType type = StoredType.F32
    )
    {
        Random random = new(seed);
        float[] values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        for (int i = 0; i < values.Length; i++)
            values[i] = (random.NextSingle() * 2) - 1;
        return TensorToWrite.Floats(name, type, shape, () => values);
    }

    public static void Write(TemporaryFolder folder, JsonObject? json = null)
    {
        ModelConfig config = WriteConfig(folder, json);
        SafetensorsWriter.Write(folder.File("model.safetensors"), Tensors(config));
    }
}
