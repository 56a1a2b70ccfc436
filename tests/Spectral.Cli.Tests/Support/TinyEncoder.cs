using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Models;

namespace Spectral.Cli.Tests.Support;

/// <summary>Writes a BERT with a few thousand random weights, a WordPiece tokenizer and labelled texts.</summary>
public static class TinyEncoder
{
    private static readonly string[] Words = ["sun", "rain", "warm", "cold", "bright", "grey"];

    /// <summary>Writes the model, whose head gives the classes bad and good unless keys say otherwise.</summary>
    /// <param name="directory">The folder, which is created.</param>
    /// <param name="keys">Keys of config.json in place of others, as JSON.</param>
    public static string Create(string directory, string keys = "{}")
    {
        Directory.CreateDirectory(directory);
        JsonObject config = JsonNode
            .Parse(
                """
                {"model_type":"bert","architectures":["BertForSequenceClassification"],"vocab_size":12,
                "hidden_size":16,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":24,
                "max_position_embeddings":24,"type_vocab_size":2,"initializer_range":0.3,"hidden_act":"gelu",
                "id2label":{"0":"bad","1":"good"}}
                """
            )!
            .AsObject();
        foreach ((string key, JsonNode? value) in JsonNode.Parse(keys)!.AsObject())
            config[key] = value?.DeepClone();
        File.WriteAllText(Path.Combine(directory, "config.json"), config.ToJsonString());
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"), Tokenizer());
        using var device = Device.Cpu();
        using var model = CausalLanguageModel.Initialize(ModelConfig.Load(directory), device, DType.F32, 3);
        model.Save(directory, null);
        return directory;
    }

    /// <summary>Writes texts that are good if their first word is one of the fair ones.</summary>
    public static void WriteData(string path, int count) =>
        File.WriteAllLines(
            path,
            Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    string text = $"{Words[i % 6]} {Words[i / 6 % 6]}";
                    return JsonSerializer.Serialize(new { text, label = i % 2 == 0 ? "good" : "bad" });
                })
        );

    private static string Tokenizer()
    {
        JsonObject vocab = [];
        foreach (string token in (string[])["[PAD]", "[UNK]", "[CLS]", "[SEP]", .. Words, "##s"])
            vocab[token] = vocab.Count;
        return new JsonObject
        {
            ["added_tokens"] = JsonNode.Parse(
                """
                [{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}]
                """
            ),
            ["normalizer"] = JsonNode.Parse("""{"type":"BertNormalizer"}"""),
            ["pre_tokenizer"] = JsonNode.Parse("""{"type":"BertPreTokenizer"}"""),
            ["post_processor"] = JsonNode.Parse("""{"type":"BertProcessing","cls":["[CLS]",2],"sep":["[SEP]",3]}"""),
            ["decoder"] = JsonNode.Parse("""{"type":"WordPiece"}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "WordPiece",
                ["unk_token"] = "[UNK]",
                ["vocab"] = vocab,
            },
        }.ToJsonString();
    }
}
