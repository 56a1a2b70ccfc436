using System.Text;
using System.Text.Json.Nodes;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Routing;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.IO.Fuzzing;

/// <summary>Every file of a model folder, and data, damaged in thousands of ways.</summary>
public sealed class FuzzTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = TemporaryFolder.InMemory();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void Safetensors()
    {
        SafetensorsWriter.Write(
            _folder.File("t"),
            [
                TinyModel.Numbered("a", [2, 3]),
                TinyModel.Numbered("b", [4], 1, StoredType.BF16),
                TinyModel.Numbered("c", []),
                TinyModel.Numbered("empty", [0, 3]),
            ],
            new Dictionary<string, string> { ["format"] = "pt", ["spectral.method"] = "lora" }
        );
        new FuzzRun(
            _folder.File("t"),
            Damage.Safetensors,
            () =>
            {
                using var file = SafetensorsFile.Open(_folder.File("t"));
                foreach (SafetensorsTensor tensor in file.Tensors.Values)
                {
                    Assert.That(tensor.Slice(0, (int)tensor.Bytes).Length, Is.EqualTo(tensor.Bytes));
                    tensor.ToFloats();
                }
            }
        ).Run("safetensors", 2000);
    }

    [TestCase("config.json", 1000)]
    [TestCase("generation_config.json", 300)]
    public void Configs(string name, int rounds)
    {
        JsonObject json = TinyModel.ConfigJson();
        json["model_type"] = "qwen2";
        json["use_sliding_window"] = true;
        json["rope_scaling"] = JsonNode.Parse(
            """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":"""
                + """4,"original_max_position_embeddings":64}"""
        );
        json["layer_types"] = new JsonArray("full_attention", "sliding_attention");
        TinyModel.WriteConfig(_folder, json);
        _folder.Write("generation_config.json", """{"eos_token_id":[1,2],"bos_token_id":1,"temperature":0.7}""");
        new FuzzRun(
            _folder.File(name),
            Damage.Json,
            () =>
            {
                var config = ModelConfig.Load(_folder.Path);
                Assert.That(config.ParameterCount, Is.Positive);
                Assert.That(config.RotaryFrequencies(), Has.Length.EqualTo(config.HeadDimension / 2));
                config.Save(Directory.CreateDirectory(_folder.File("saved")).FullName);
            }
        ).Run(name, rounds);
    }

    [Test]
    public void Indices()
    {
        ModelConfig config = TinyModel.WriteConfig(_folder);
        SafetensorsWriter.Write(_folder.File("shard.safetensors"), TinyModel.Tensors(config));
        JsonObject map = [];
        foreach (TensorSpec tensor in ModelTensors.For(config))
            map[tensor.Name] = "shard.safetensors";
        _folder.Write(
            "model.safetensors.index.json",
            new JsonObject
            {
                ["metadata"] = new JsonObject { ["total_size"] = 1 },
                ["weight_map"] = map,
            }.ToJsonString()
        );
        new FuzzRun(
            _folder.File("model.safetensors.index.json"),
            Damage.Json,
            () => ModelFolder.Open(_folder.Path).Dispose()
        ).Run("index", 1000);
    }

    [Test]
    public void FoldersOfExperts()
    {
        ExpertFolder.Write(
            _folder.Path,
            "auto-flexswitch",
            3,
            [
                (
                    "a/one",
                    "expert-1",
                    [
                        [1, 2, 3],
                        [4, 5, 6],
                    ]
                ),
                (
                    "b/two",
                    "expert-2",
                    [
                        [7, 8, 9],
                    ]
                ),
            ]
        );
        foreach (
            (string name, Func<byte[], Random, byte[]> damage) in ((string, Func<byte[], Random, byte[]>)[])
                [("experts.json", Damage.Json), ("queries.safetensors", Damage.Safetensors)]
        )
        {
            new FuzzRun(
                _folder.File(name),
                damage,
                () => Assert.That(ExpertFolder.Open(_folder.Path).Experts, Is.Not.Empty)
            ).Run(name, 500);
        }
    }

    [Test]
    public void ByteLevelTokenizers()
    {
        JsonObject json = TokenizerFiles.ByteLevel(
            TokenizerFiles.Llama3,
            [("a", "b"), ("ab", "c")],
            TokenizerFiles.Added("<end>")
        );
        json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        // The vocabulary is long and dull: put it last, so that most of the damage to bytes hits the rest.
        JsonNode model = json["model"]!;
        json.Remove("model");
        JsonNode vocab = model["vocab"]!;
        model.AsObject().Remove("vocab");
        model["vocab"] = vocab;
        json["model"] = model;
        Tokenizers("byte-level", json);
    }

    [Test]
    public void ByteFallbackTokenizers() => Tokenizers("byte-fallback", TokenizerFiles.ByteFallback("abc", ("a", "b")));

    private void Tokenizers(string name, JsonObject json)
    {
        _folder.Write("tokenizer.json", json.ToJsonString());
        string text = "abc 123 <end></s> é 𝒳 " + new string('a', 40);
        new FuzzRun(
            _folder.File("tokenizer.json"),
            Damage.Json,
            () =>
            {
                var tokenizer = BpeTokenizer.Load(_folder.Path);
                int[] ids = tokenizer.Encode(text);
                Assert.That(ids, Is.All.InRange(0, tokenizer.VocabularySize - 1));
                tokenizer.Decode(ids);
                tokenizer.Decode([0, tokenizer.VocabularySize - 1, int.MaxValue, -1]);
            }
        ).Run(name, 1000);
    }

    [TestCase("tokenizer_config.json")]
    [TestCase("special_tokens_map.json")]
    [TestCase("added_tokens.json")]
    public void FilesBesideATokenizer(string name)
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added("<end>"));
        _folder.Write("tokenizer.json", json.ToJsonString());
        _folder.Write(
            name,
            name == "added_tokens.json"
                ? """{"<x>":257,"<y>":258}"""
                : """
                {"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"add_eos_token":false,"add_prefix_space":false,
                 "bos_token":"<b>","eos_token":{"content":"<end>","lstrip":true},"extra_special_tokens":{"a":"<x>"},
                 "additional_special_tokens":["<y>",{"content":"<z>"}]}
                """
        );
        if (name == "tokenizer_config.json")
        {
            JsonObject config = JsonNode.Parse(File.ReadAllText(_folder.File(name)))!.AsObject();
            config["added_tokens_decoder"] = new JsonObject
            {
                ["257"] = TokenizerFiles.Added("<t>"),
                ["300"] = TokenizerFiles.Added("<u>"),
            };
            _folder.Write(name, config.ToJsonString());
        }
        new FuzzRun(
            _folder.File(name),
            Damage.Json,
            () =>
            {
                var tokenizer = BpeTokenizer.Load(_folder.Path);
                int[] prompt = tokenizer.EncodePrompt("abc<end> <x><t>");
                Assert.That(prompt, Is.All.InRange(0, tokenizer.VocabularySize - 1));
                tokenizer.EncodeContinuation(" def", prompt);
            }
        ).Run(name, 500);
    }

    [Test]
    public void Data()
    {
        string text = string.Concat(
            Enumerable
                .Range(0, 5)
                .Select(i => $"{{\"prompt\":\"p{i} é\",\"completion\":\"c\\u00e9\"}}\n{{\"text\":\"t{i}\"}}\n")
        );
        _folder.Write("d.jsonl", Encoding.UTF8.GetBytes(text));
        new FuzzRun(_folder.File("d.jsonl"), Damage.Lines, () => RecordReader.Load(_folder.File("d.jsonl"))).Run(
            "data",
            1000
        );
    }
}
