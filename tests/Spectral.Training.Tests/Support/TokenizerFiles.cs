using System.Text.Json.Nodes;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Support;

/// <summary>Small tokenizer.json files of the usual kinds, with vocabularies given by hand.</summary>
internal static class TokenizerFiles
{
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    public const string Llama3 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    public const string Qwen2 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>BERT's: the tokens in the order of their ids, of which the first four are [PAD] to [SEP].</summary>
    public static JsonObject WordPiece(IEnumerable<string> tokens)
    {
        JsonObject vocab = [];
        foreach (string token in tokens)
            vocab[token] = vocab.Count;
        JsonArray added = [];
        foreach (string token in (string[])["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
        {
            JsonObject special = Added(token);
            special["id"] = vocab[token]!.GetValue<int>();
            added.Add(special);
        }

        JsonNode processor = JsonNode.Parse(
            """
            {"type":"TemplateProcessing",
            "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"[SEP]","type_id":0}}],
            "pair":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"[SEP]","type_id":0}},{"Sequence":{"id":"B","type_id":1}},
            {"SpecialToken":{"id":"[SEP]","type_id":1}}],
            "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},
            "[SEP]":{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}}
            """
        )!;
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = JsonNode.Parse("""{"type":"BertNormalizer","lowercase":true}"""),
            ["pre_tokenizer"] = JsonNode.Parse("""{"type":"BertPreTokenizer"}"""),
            ["post_processor"] = processor,
            ["decoder"] = JsonNode.Parse("""{"type":"WordPiece","prefix":"##","cleanup":true}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "WordPiece",
                ["unk_token"] = "[UNK]",
                ["continuing_subword_prefix"] = "##",
                ["max_input_chars_per_word"] = 100,
                ["vocab"] = vocab,
            },
        };
    }

    /// <summary>
    /// Byte-level: ids 0–255 are the bytes' characters in byte order, merges follow, then the added tokens.
    /// </summary>
    public static JsonObject ByteLevel(
        string? pattern,
        IEnumerable<(string Left, string Right)> merges,
        params JsonObject[] added
    )
    {
        JsonObject vocab = [];
        for (int value = 0; value < 256; value++)
            vocab[Character(value)] = value;
        JsonArray list = [];
        foreach ((string left, string right) in merges)
        {
            if (!vocab.ContainsKey(left + right))
                vocab[left + right] = vocab.Count;
            list.Add($"{left} {right}");
        }
        JsonObject byteLevel = new()
        {
            ["type"] = "ByteLevel",
            ["add_prefix_space"] = false,
            ["trim_offsets"] = true,
            ["use_regex"] = pattern is null,
        };
        JsonArray addedTokens = [];
        foreach (JsonObject token in added)
        {
            token["id"] ??= vocab.Count + addedTokens.Count;
            addedTokens.Add(token);
        }
        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = addedTokens,
            ["normalizer"] = null,
            ["pre_tokenizer"] = pattern is null
                ? byteLevel
                : new JsonObject
                {
                    ["type"] = "Sequence",
                    ["pretokenizers"] = new JsonArray(
                        new JsonObject
                        {
                            ["type"] = "Split",
                            ["pattern"] = new JsonObject { ["Regex"] = pattern },
                            ["behavior"] = "Isolated",
                            ["invert"] = false,
                        },
                        byteLevel
                    ),
                },
            ["post_processor"] = new JsonObject
            {
                ["type"] = "ByteLevel",
                ["add_prefix_space"] = true,
                ["trim_offsets"] = false,
                ["use_regex"] = true,
            },
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
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = vocab,
                ["merges"] = list,
            },
        };
    }

    /// <summary>
    /// As Llama 2: ids 0–2 are unk, s and /s; 3–258 the bytes; then ▁ and the given characters; then the merges.
    /// </summary>
    public static JsonObject ByteFallback(string characters, params (string Left, string Right)[] merges)
    {
        JsonObject vocab = new()
        {
            ["<unk>"] = 0,
            ["<s>"] = 1,
            ["</s>"] = 2,
        };
        for (int value = 0; value < 256; value++)
            vocab[$"<0x{value:X2}>"] = vocab.Count;
        foreach (char character in "▁" + characters)
            vocab[character.ToString()] = vocab.Count;
        JsonArray list = [];
        foreach ((string left, string right) in merges)
        {
            if (!vocab.ContainsKey(left + right))
                vocab[left + right] = vocab.Count;
            list.Add(new JsonArray(left, right));
        }
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(Added("<unk>", 0), Added("<s>", 1), Added("</s>", 2)),
            ["normalizer"] = JsonNode.Parse(
                """
                {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace",
                "pattern":{"String":" "},"content":"▁"}]}
                """
            ),
            ["pre_tokenizer"] = null,
            ["post_processor"] = JsonNode.Parse(
                """
                {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A",
                "type_id":0}}],
                 "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
                 "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}
                """
            ),
            ["decoder"] = JsonNode.Parse(
                """
                {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
                {"type":"ByteFallback"},{"type":"Fuse"},
                 {"type":"Strip","content":" ","start":1,"stop":0}]}
                """
            ),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = "<unk>",
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["vocab"] = vocab,
                ["merges"] = list,
            },
        };
    }

    public static JsonObject Added(
        string content,
        int? id = null,
        bool special = true,
        bool normalized = false,
        bool lstrip = false,
        bool rstrip = false,
        bool singleWord = false
    ) =>
        new()
        {
            ["id"] = id,
            ["content"] = content,
            ["single_word"] = singleWord,
            ["lstrip"] = lstrip,
            ["rstrip"] = rstrip,
            ["normalized"] = normalized,
            ["special"] = special,
        };

    public static BpeTokenizer Load(TemporaryFolder folder, JsonObject json)
    {
        folder.Write("tokenizer.json", json.ToJsonString());
        return BpeTokenizer.Load(folder.Path);
    }

    // Written out once more for the tests: printable Latin-1 stands for itself, the rest is numbered from U+0100.
    public static string Character(int value)
    {
        static bool Printable(int v) => v is > 32 and < 127 or > 160 and not 173;
        return (
            (char)(Printable(value) ? value : 256 + Enumerable.Range(0, value).Count(v => !Printable(v)))
        ).ToString();
    }
}
