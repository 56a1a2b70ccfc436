using System.Text;
using System.Text.Json.Nodes;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Support;

/// <summary>
/// Writes a Llama with a few thousand random weights and a byte tokenizer, which trains in an instant.
/// </summary>
public static class TinyModel
{
    public const int Hidden = 32;
    public const int Intermediate = 48;
    public const int Layers = 2;
    public const int Heads = 4;
    public const int KeyValueHeads = 2;
    public const int End = 256;
    public const int Vocabulary = 260;

    public static string Create(string directory, int seed = 1)
    {
        Directory.CreateDirectory(directory);
        WriteConfigAndTokenizer(directory);
        WriteWeights(Path.Combine(directory, "model.safetensors"), seed);
        return directory;
    }

    public static void WriteConfigAndTokenizer(string directory)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.json"), Config().ToJsonString());
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"), Tokenizer().ToJsonString());
    }

    /// <summary>Gives a model a third layer, equal to its second, and if wanted a bias to each linear layer.</summary>
    public static void Deepen(string directory, bool biases)
    {
        JsonObject config = Config();
        config["num_hidden_layers"] = Layers + 1;
        config["attention_bias"] = biases;
        config["mlp_bias"] = biases;
        File.WriteAllText(Path.Combine(directory, "config.json"), config.ToJsonString());
        var tensors = new List<TensorToWrite>();
        string weights = Path.Combine(directory, "model.safetensors");
        using (var file = SafetensorsFile.Open(weights))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                Add(tensor, tensor.Name);
                if (tensor.Name.Contains(".layers.1.", StringComparison.Ordinal))
                    Add(tensor, tensor.Name.Replace(".layers.1.", ".layers.2.", StringComparison.Ordinal));
            }
        }

        SafetensorsWriter.Write(weights, [.. tensors.DistinctBy(tensor => tensor.Name)]);

        void Add(SafetensorsTensor tensor, string name)
        {
            float[] values = tensor.ToFloats();
            tensors.Add(TensorToWrite.Floats(name, StoredType.F32, [.. tensor.Shape], () => values));
            if (biases && name.EndsWith("_proj.weight", StringComparison.Ordinal))
            {
                float[] bias = [.. Enumerable.Range(0, (int)tensor.Shape[0]).Select(i => 0.01f * (i % 5))];
                string of = name.Replace(".weight", ".bias", StringComparison.Ordinal);
                tensors.Add(TensorToWrite.Floats(of, StoredType.F32, [bias.Length], () => bias));
            }
        }
    }

    /// <summary>Gives a model more layers, all equal to its second.</summary>
    public static void Repeat(string directory, int layers)
    {
        JsonObject config = Config();
        config["num_hidden_layers"] = layers;
        File.WriteAllText(Path.Combine(directory, "config.json"), config.ToJsonString());
        var tensors = new List<TensorToWrite>();
        string weights = Path.Combine(directory, "model.safetensors");
        using (var file = SafetensorsFile.Open(weights))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                float[] values = tensor.ToFloats();
                bool isRepeated = tensor.Name.Contains(".layers.1.", StringComparison.Ordinal);
                for (int layer = 1; layer < (isRepeated ? layers : 2); layer++)
                {
                    string name = tensor.Name.Replace(".layers.1.", $".layers.{layer}.", StringComparison.Ordinal);
                    tensors.Add(TensorToWrite.Floats(name, StoredType.F32, [.. tensor.Shape], () => values));
                }
            }
        }

        SafetensorsWriter.Write(weights, tensors);
    }

    public static JsonObject Config() =>
        JsonNode
            .Parse(
                $$"""
                {"model_type":"llama","architectures":["LlamaForCausalLM"],"vocab_size":{{Vocabulary}},
                "hidden_size":{{Hidden}},"intermediate_size":{{Intermediate}},
                 "num_hidden_layers":{{Layers}},"num_attention_heads":{{Heads}},
                 "num_key_value_heads":{{KeyValueHeads}},"hidden_act":"silu","rms_norm_eps":1e-5,
                 "max_position_embeddings":256,"tie_word_embeddings":true,"rope_theta":10000.0,"eos_token_id":{{End}},
                 "torch_dtype":"float32"}
                """
            )!
            .AsObject();

    /// <summary>Returns a tokenizer with one token per byte, as GPT-2 writes bytes, and an end token.</summary>
    public static JsonObject Tokenizer()
    {
        var vocabulary = new JsonObject();
        for (int value = 0, extra = 256; value < 256; value++)
        {
            bool printable = value is >= 33 and <= 126 or >= 161 and <= 172 or >= 174;
            vocabulary[((char)(printable ? value : extra++)).ToString()] = value;
        }
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(
                new JsonObject
                {
                    ["id"] = End,
                    ["content"] = "<|end|>",
                    ["single_word"] = false,
                    ["lstrip"] = false,
                    ["rstrip"] = false,
                    ["normalized"] = false,
                    ["special"] = true,
                }
            ),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "ByteLevel",
                ["add_prefix_space"] = false,
                ["trim_offsets"] = true,
                ["use_regex"] = true,
            },
            ["post_processor"] = null,
            ["decoder"] = new JsonObject
            {
                ["type"] = "ByteLevel",
                ["add_prefix_space"] = true,
                ["trim_offsets"] = true,
                ["use_regex"] = true,
            },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray(),
            },
        };
    }

    /// <summary>Writes records of a task that random weights fail and that a few dozen steps begin to learn.</summary>
    public static string WriteData(string path, int records, int seed = 3)
    {
        var random = new Random(seed);
        var text = new StringBuilder();
        for (int i = 0; i < records; i++)
        {
            int digit = random.Next(10);
            text.Append($"{{\"prompt\":\"{digit} again: \",\"completion\":\"{digit}{digit}\"}}\n");
        }
        File.WriteAllText(path, text.ToString());
        return path;
    }

    /// <summary>Rewrites one key of a JSON file.</summary>
    public static void Set(string file, string key, JsonNode? value)
    {
        JsonObject root = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        root[key] = value;
        File.WriteAllText(file, root.ToJsonString());
    }

    /// <summary>Writes a safetensors file with any header, valid or not.</summary>
    public static void WriteRaw(string path, string header, int dataBytes)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        using FileStream file = File.Create(path);
        file.Write(BitConverter.GetBytes((ulong)json.Length));
        file.Write(json);
        file.Write(new byte[dataBytes]);
    }

    public static IEnumerable<(string Name, long[] Shape)> Tensors()
    {
        const int HeadDimension = Hidden / Heads;
        yield return ("model.embed_tokens.weight", [Vocabulary, Hidden]);
        for (int layer = 0; layer < Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            yield return (prefix + "input_layernorm.weight", [Hidden]);
            yield return (prefix + "self_attn.q_proj.weight", [Heads * HeadDimension, Hidden]);
            yield return (prefix + "self_attn.k_proj.weight", [KeyValueHeads * HeadDimension, Hidden]);
            yield return (prefix + "self_attn.v_proj.weight", [KeyValueHeads * HeadDimension, Hidden]);
            yield return (prefix + "self_attn.o_proj.weight", [Hidden, Heads * HeadDimension]);
            yield return (prefix + "post_attention_layernorm.weight", [Hidden]);
            yield return (prefix + "mlp.gate_proj.weight", [Intermediate, Hidden]);
            yield return (prefix + "mlp.up_proj.weight", [Intermediate, Hidden]);
            yield return (prefix + "mlp.down_proj.weight", [Hidden, Intermediate]);
        }
        yield return ("model.norm.weight", [Hidden]);
    }

    public static void WriteWeights(string path, int seed, Func<string, bool>? keep = null)
    {
        var random = new Random(seed);
        var tensors = new List<TensorToWrite>();
        foreach ((string name, long[] shape) in Tensors())
        {
            float[] values = new float[shape.Aggregate(1L, (product, size) => product * size)];
            for (int i = 0; i < values.Length; i++)
                values[i] = shape.Length == 1 ? 1 : 0.3f * (random.NextSingle() + random.NextSingle() - 1);
            if (keep?.Invoke(name) ?? true)
                tensors.Add(TensorToWrite.Floats(name, StoredType.F32, shape, () => values));
        }
        SafetensorsWriter.Write(path, tensors);
    }
}
