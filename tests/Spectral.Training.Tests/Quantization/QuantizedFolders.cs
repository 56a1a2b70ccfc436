using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>Folders of a tiny model in each form of quantised weights, and the same model with plain weights.</summary>
internal static class QuantizedFolders
{
    public const string Query = "model.layers.0.self_attn.q_proj.weight";

    /// <summary>Each form by a name: settings of the config, and the encoder of one weight.</summary>
    public static IReadOnlyDictionary<
        string,
        (string Config, Func<string, int, int, float[], Encoded> Encode)
    > Forms { get; } =
        new Dictionary<string, (string, Func<string, int, int, float[], Encoded>)>
        {
            ["nf4"] = (BitsandbytesCases.FourBit, BitsandbytesCases.Four("nf4", 64, nested: false)),
            ["nf4 nested"] = (BitsandbytesCases.FourBit, BitsandbytesCases.Four("nf4", 64, nested: true)),
            ["fp4"] = (BitsandbytesCases.FourBit, BitsandbytesCases.Four("fp4", 128, nested: false)),
            ["fp4 nested"] = (BitsandbytesCases.FourBit, BitsandbytesCases.Four("fp4", 64, nested: true)),
            ["llm.int8"] = (BitsandbytesCases.EightBit, BitsandbytesCases.Eight),
            ["fp8 tiles"] = (ScaledCases.Tiled, ScaledCases.Float8("weight_scale_inv", 128, 128)),
            ["fp8 bf16 tiles"] = (
                ScaledCases.Tiled,
                ScaledCases.Float8("weight_scale_inv", 128, 128, null, StoredType.BF16)
            ),
            ["fp8 whole"] = (ScaledCases.Whole, ScaledCases.Float8("weight_scale", 0, 0, [])),
            ["float-quantized tensor"] = (
                ScaledCases.Compressed("float-quantized"),
                ScaledCases.Float8("weight_scale", 0, 0, [1])
            ),
            ["float-quantized channel"] = (
                ScaledCases.Compressed("float-quantized"),
                ScaledCases.Float8("weight_scale", 1, 0, null, StoredType.BF16)
            ),
            ["float-quantized block"] = (
                ScaledCases.Compressed("float-quantized", "\"block_structure\":[128,128]"),
                ScaledCases.Float8("weight_scale", 128, 128)
            ),
            ["int-quantized"] = (ScaledCases.Compressed("int-quantized"), ScaledCases.Int8(StoredType.BF16)),
            ["int-quantized f32"] = (ScaledCases.Compressed("int-quantized"), ScaledCases.Int8(StoredType.F32)),
            ["mxfp4"] = (ScaledCases.Compressed("mxfp4-pack-quantized"), ScaledCases.Mxfp4),
        };

    /// <summary>A model whose weights have whole and partial tiles and blocks.</summary>
    public static JsonObject Config() =>
        new()
        {
            ["model_type"] = "llama",
            ["vocab_size"] = 13,
            ["hidden_size"] = 160,
            ["intermediate_size"] = 288,
            ["num_hidden_layers"] = 1,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 1,
            ["head_dim"] = 40,
            ["rms_norm_eps"] = 1e-5,
            ["eos_token_id"] = 2,
            ["torch_dtype"] = "float32",
        };

    /// <summary>The quantised model's tensors and the values of its weights by name.</summary>
    public static (List<TensorToWrite> Tensors, Dictionary<string, float[]> Values) Encode(string form)
    {
        ModelConfig config = Read(Config());
        var linears = ModelTensors.Linears(config).Select(linear => linear.Weight).ToHashSet();
        List<TensorToWrite> tensors = [];
        Dictionary<string, float[]> values = [];
        int seed = 40;
        foreach (TensorSpec spec in ModelTensors.For(config))
        {
            Random random = new(seed++);
            float[] weight = [.. Enumerable.Range(0, (int)spec.Count).Select(_ => random.NextSingle() - 0.5f)];
            if (linears.Contains(spec.Name))
            {
                // Larger to the right and to the bottom, so that no two blocks, rows or tiles have one scale.
                for (int i = 0; i < weight.Length; i++)
                    weight[i] *= 1 + 2f * i / weight.Length + (float)(i % (int)spec.Shape[1]) / spec.Shape[1];
                Encoded encoded = Forms[form].Encode(spec.Name, (int)spec.Shape[0], (int)spec.Shape[1], weight);
                tensors.AddRange(encoded.Tensors);
                weight = encoded.Values;
            }
            else
            {
                tensors.Add(Encoded.Floats(spec.Name, [.. spec.Shape], weight));
            }
            values.Add(spec.Name, weight);
        }
        return (tensors, values);
    }

    /// <summary>Writes the quantised model, with changes of single tensors if asked for.</summary>
    public static Dictionary<string, float[]> Write(
        string directory,
        string form,
        Action<List<TensorToWrite>>? change = null,
        Action<JsonObject>? changeConfig = null
    )
    {
        (List<TensorToWrite> tensors, Dictionary<string, float[]> values) = Encode(form);
        change?.Invoke(tensors);
        JsonObject config = Config();
        config["quantization_config"] = JsonNode.Parse(Forms[form].Config);
        changeConfig?.Invoke(config);
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.json"), config.ToJsonString());
        SafetensorsWriter.Write(Path.Combine(directory, "model.safetensors"), tensors);
        return values;
    }

    /// <summary>Writes the same model with plain weights.</summary>
    public static void WriteDense(string directory, Dictionary<string, float[]> values)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.json"), Config().ToJsonString());
        SafetensorsWriter.Write(
            Path.Combine(directory, "model.safetensors"),
            [
                .. ModelTensors
                    .For(Read(Config()))
                    .Select(spec => Encoded.Floats(spec.Name, [.. spec.Shape], values[spec.Name])),
            ]
        );
    }

    private static ModelConfig Read(JsonObject json)
    {
        using TemporaryFolder folder = new();
        return TinyModel.WriteConfig(folder, json);
    }
}
