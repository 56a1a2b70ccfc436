using System.Text;
using System.Text.Json.Nodes;

namespace Spectral.Training.Tests;

/// <summary>Valid files with random damage: whatever comes of it, nothing but an InputException may come out.</summary>
public sealed class FuzzTests : FolderTest
{
    private const int Rounds = 700;
    private static readonly string[] Splices = ["null", "-1", "1e999", "99999999999999999999", "\"\"", "{}", "[]", "[[[[", "\\ud800", "\"\\u0000\"", "true", "\"(\"", "0.5", ",", "\""];

    private static byte[] Damage(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (int times = random.Next(1, 4); times > 0 && bytes.Count > 0; times--)
        {
            int at = random.Next(Math.Min(bytes.Count, 4096));
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 20), bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 40), bytes.Count - at)));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    ReplaceValue(bytes, at, random);
                    break;
            }
        }
        return [.. bytes];
    }

    // Keeps the JSON well formed now and then: the value after the next colon becomes another.
    private static void ReplaceValue(List<byte> bytes, int at, Random random)
    {
        int colon = bytes.IndexOf((byte)':', at);
        if (colon < 0)
            return;
        int end = bytes.FindIndex(colon, value => value is (byte)',' or (byte)'}' or (byte)']');
        if (end > colon)
            bytes.RemoveRange(colon + 1, end - colon - 1);
        bytes.InsertRange(colon + 1, Encoding.UTF8.GetBytes(Splices[random.Next(Splices.Length)]));
    }

    private void Survive(string name, byte[] valid, int seed, Action use)
    {
        folder.Write(name, valid);
        Assert.That(() => use(), Throws.Nothing, "the undamaged file");
        Random random = new(seed);
        int refused = 0;
        for (int round = 0; round < Rounds; round++)
        {
            folder.Write(name, Damage(valid, random));
            try
            {
                use();
            }
            catch (InputException e)
            {
                refused++;
                Assert.That(e.Message.Count(character => character == '\n'), Is.LessThan(2), e.Message);
            }
            catch (Exception e)
            {
                string kept = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"fuzz-{seed}-{round}-{name}");
                File.Copy(folder.File(name), kept, overwrite: true);
                Assert.Fail($"round {round} of seed {seed} ({kept}): {e}");
            }
        }
        Assert.That(refused, Is.GreaterThan(Rounds / 10), "the damage is real");
    }

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString());

    [Test]
    public void Safetensors()
    {
        SafetensorsWriter.Write(folder.File("t"), [TinyModel.Numbered("a", [2, 3]), TinyModel.Numbered("b", [4], 1, StoredType.BF16), TinyModel.Numbered("c", [])],
            new Dictionary<string, string> { ["format"] = "pt" });
        Survive("t", File.ReadAllBytes(folder.File("t")), 1, () =>
        {
            using SafetensorsFile file = SafetensorsFile.Open(folder.File("t"));
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
                tensor.ToFloats();
        });
    }

    [Test]
    public void Model_configs()
    {
        JsonObject json = TinyModel.ConfigJson();
        json["model_type"] = "qwen2";
        json["use_sliding_window"] = true;
        json["rope_scaling"] = JsonNode.Parse("""{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64}""");
        Survive("config.json", Bytes(json), 2, () =>
        {
            ModelConfig config = ModelConfig.Load(folder.Path);
            Assert.That(config.ParameterCount, Is.Positive);
            config.RotaryFrequencies();
        });
    }

    [Test]
    public void Indices()
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        SafetensorsWriter.Write(folder.File("shard.safetensors"), TinyModel.Tensors(config));
        JsonObject map = [];
        foreach (TensorSpec tensor in ModelTensors.For(config))
            map[tensor.Name] = "shard.safetensors";
        Survive("model.safetensors.index.json", Bytes(new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 1 }, ["weight_map"] = map }), 3,
            () => ModelFolder.Open(folder.Path).Dispose());
    }

    [Test]
    public void Byte_level_tokenizers()
    {
        JsonObject json = TokenizerFiles.ByteLevel(TokenizerFiles.Llama3, [("a", "b"), ("ab", "c")], TokenizerFiles.Added("<end>"));
        json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        // The vocabulary is long and dull: put it last, so that most of the damage hits the rest.
        JsonNode model = json["model"]!;
        json.Remove("model");
        JsonNode vocab = model["vocab"]!;
        model.AsObject().Remove("vocab");
        model["vocab"] = vocab;
        json["model"] = model;
        Survive("tokenizer.json", Bytes(json), 4, UseTokenizer);
    }

    [Test]
    public void Byte_fallback_tokenizers() => Survive("tokenizer.json", Bytes(TokenizerFiles.ByteFallback("abc", ("a", "b"))), 5, UseTokenizer);

    private void UseTokenizer()
    {
        BpeTokenizer tokenizer = BpeTokenizer.Load(folder.Path);
        int[] ids = tokenizer.Encode("abc 123 <end></s> é 𝒳");
        Assert.That(ids, Is.All.InRange(0, tokenizer.VocabularySize - 1));
        tokenizer.Decode(ids);
    }

    [Test]
    public void Adapter_configs()
    {
        AdapterFiles.Write(folder, AdapterFiles.PeftConfig(), AdapterFiles.LowRank(AdapterFiles.Module, 2));
        JsonObject json = AdapterFiles.PeftConfig();
        json["rank_pattern"] = new JsonObject { ["q_proj"] = 2 };
        json["layers_to_transform"] = new JsonArray(0);
        Survive("adapter_config.json", Bytes(json), 6, () => new AdapterReader(folder.Path).Dispose());
    }

    [Test]
    public void Adapter_weights()
    {
        AdapterFolder.Write(folder.Path, AdapterFiles.SpecLora(2, 2), [.. AdapterFiles.Spectral(AdapterFiles.Module, 2), .. AdapterFiles.LowRank(AdapterFiles.Module, 2)]);
        Survive("adapter_model.safetensors", File.ReadAllBytes(folder.File("adapter_model.safetensors")), 7, () =>
        {
            using AdapterReader adapter = new(folder.Path);
            Assert.That(adapter.Modules, Is.Not.Empty);
        });
    }

    [Test]
    public void Data()
    {
        string text = string.Concat(Enumerable.Range(0, 5).Select(i => $"{{\"prompt\":\"p{i} é\",\"completion\":\"c\\u00e9\"}}\n{{\"text\":\"t{i}\"}}\n"));
        Survive("d.jsonl", Encoding.UTF8.GetBytes(text), 8, () => JsonlDataset.Load(folder.File("d.jsonl")));
    }
}
