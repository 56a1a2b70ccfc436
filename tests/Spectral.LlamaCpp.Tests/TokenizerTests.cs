using System.Text;
using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Training.Gguf;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.LlamaCpp.Tests;

/// <summary>Tokenizers of each kind, written to GGUF: llama.cpp encodes texts with the same ids.</summary>
public sealed class TokenizerTests : FolderTest
{
    // Merges across every border that a split makes, so that a wrong split gives other ids.
    private const string Corpus = """
        The cat's 12 hats, they're 2024's best: I'LL say 1234567 times!  Three   spaces, and	tabs.
        Über straße naïve café — “quotes” … 你好世界 こんにちは 한국어 здравствуй мир ٣٤٥ ½ ²
        if (x[10] != 255) { return "a\tb" + 'c'; } // 3.14159, 0xFF 1e-5
        HTTPServer camelCase snake_case XMLHttpRequest don't DON'T we've WE'VE it'd


            indented    text   with trailing space 
        e-mail: someone@example.org, http://example.org/a/b?c=d&e=f 😀😀 👩‍🚀
        """;

    // The parts of the patterns of Mistral's Tekken and of o200k.
    private const string Words = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+";
    private const string Capitals = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*";
    private const string Short = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    private const string Rest = @" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly string[] Texts =
    [
        "Hello, world!",
        "  two spaces, then   three\n\n\nlines \t tabs ",
        "12 123 1234 12345 1e10 ½ ٣٤٥٦",
        "don't DON'T we'Ve i'm 's",
        "你好，世界！ naïve ÜBER straße",
        "XMLHttpRequest camelCase HTTPServer2024",
        "a <|end|> b<|end|>",
        " leading",
        "\n",
        "😀 👩‍🚀 \u200d",
        "if (a[1]!=b) {\n\treturn c; }\r\n",
        Corpus,
    ];

    private static IEnumerable<TestCaseData> Kinds()
    {
        yield return Kind("gpt-2", () => ByteLevel(null));
        yield return Kind("dbrx", () => ByteLevel(TokenizerFiles.Llama3));
        yield return Kind("llama-bpe", () => IgnoringMerges(ByteLevel(TokenizerFiles.Llama3)));
        yield return Kind("qwen2", () => ByteLevel(TokenizerFiles.Qwen2));
        yield return Kind("tekken", () => IgnoringMerges(ByteLevel($"{Words}|{Capitals}|\\p{{N}}|{Rest}")));
        yield return Kind("gpt-4o", () => ByteLevel($"{Words}{Short}|{Capitals}{Short}|\\p{{N}}{{1,3}}|{Rest}"));
        yield return Kind("smollm", () => Digits(ByteLevel(null)));
        yield return Kind("llama", SentencePiece);

        static TestCaseData Kind(string split, Func<JsonObject> file) =>
            new TestCaseData(file).SetArgDisplayNames(split);
    }

    [TestCaseSource(nameof(Kinds))]
    public void LlamaCppEncodesTheSameIds(Func<JsonObject> file)
    {
        using LlamaCppModel llama = Write(file());
        var tokenizer = BpeTokenizer.Load(folder.Path);
        foreach (string text in Texts)
            Assert.That(llama.Tokenize(text), Is.EqualTo(tokenizer.Encode(text)), text);
        Assert.That(Texts.Select(text => tokenizer.Encode(text).Length).Sum(), Is.LessThan(1500), "merges matter");
    }

    /// <summary>A space is put before a text, and the begin token before it.</summary>
    [Test]
    public void ASpaceMayComeBeforeAText([Values("gemma", "metaspace", "never")] string kind)
    {
        JsonObject json = SentencePiece();
        JsonNode replace = json["normalizer"]!["normalizers"]![1]!.DeepClone();
        json["normalizer"] = kind == "gemma" ? replace : null;
        if (kind != "gemma")
        {
            json["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace",
                ["replacement"] = "▁",
                ["prepend_scheme"] = kind == "never" ? "never" : "first",
                ["split"] = false,
            };
        }
        using LlamaCppModel llama = Write(json);
        var tokenizer = BpeTokenizer.Load(folder.Path);
        foreach (
            string text in Texts.Where(text =>
                !text.StartsWith(' ') && !text.Contains("<|end|>", StringComparison.Ordinal)
            )
        )
        {
            Assert.That(llama.Tokenize(text), Is.EqualTo(tokenizer.Encode(text)), text);
        }
    }

    [Test]
    public void RolesAndTemplateAreWritten()
    {
        folder.Write("tokenizer_config.json", """{"bos_token": "<|start|>", "chat_template": "{{ messages }}"}""");
        JsonObject json = TokenizerFiles.ByteLevel(
            null,
            [],
            TokenizerFiles.Added("<|start|>"),
            TokenizerFiles.Added("<|end|>"),
            TokenizerFiles.Added("<tool>", special: false)
        );
        json["post_processor"] = JsonNode.Parse(
            """
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|start|>","type_id":0}},
            {"Sequence":{"id":"A","type_id":0}}],
            "special_tokens":{"<|start|>":{"id":"<|start|>","ids":[256],"tokens":["<|start|>"]}}}
            """
        );
        using LlamaCppModel llama = Write(json, eos: [257, 258]);
        Assert.That(llama.Tokenize("a<tool>b"), Is.EqualTo([256, 97, 258, 98]));
        Assert.That(llama.Template, Is.EqualTo("{{ messages }}"));
        Assert.That(llama.Roles, Is.EqualTo(((int?)256, (int?)257, (int?)258)));
    }

    private LlamaCppModel Write(JsonObject tokenizer, params int[] eos)
    {
        ModelConfig config = SmallModels.All["llama"] with
        {
            VocabularySize = 1024,
            EosTokenIds = eos is [] ? [0] : eos,
        };
        using var device = Device.Cpu();
        TinyModels.Frozen(config, device, folder).Dispose();
        folder.Write("tokenizer.json", tokenizer.ToJsonString());
        return new LlamaCppModel(SmallModels.Convert(folder, GgufType.F32));
    }

    private static JsonObject ByteLevel(string? pattern)
    {
        string text = string.Concat(Encoding.UTF8.GetBytes(Corpus).Select(value => TokenizerFiles.Character(value)));
        return TokenizerFiles.ByteLevel(pattern, Learn(text, 300), TokenizerFiles.Added("<|end|>"));
    }

    private static JsonObject IgnoringMerges(JsonObject json)
    {
        json["model"]!["ignore_merges"] = true;
        // A token that no merges make, which a whole piece is nevertheless.
        JsonNode vocabulary = json["model"]!["vocab"]!;
        vocabulary["Hello"] = vocabulary.AsObject().Count;
        json["added_tokens"]![0]!["id"] = vocabulary.AsObject().Count;
        return json;
    }

    private static JsonObject Digits(JsonObject json)
    {
        JsonNode last = json["pre_tokenizer"]!.DeepClone();
        json["pre_tokenizer"] = new JsonObject
        {
            ["type"] = "Sequence",
            ["pretokenizers"] = new JsonArray(
                new JsonObject { ["type"] = "Digits", ["individual_digits"] = true },
                last
            ),
        };
        return json;
    }

    private static JsonObject SentencePiece()
    {
        string text = Corpus.Replace(' ', '▁').ReplaceLineEndings("\n");
        string characters = string.Concat(text.Where(c => c is not ('▁' or '\n') && !char.IsSurrogate(c)).Distinct());
        HashSet<string> tokens = [.. characters.Select(c => c.ToString()), "▁"];
        List<(string, string)> merges = [];
        foreach ((string left, string right) in Learn(text, 200).Where(pair => Known(pair.Left) && Known(pair.Right)))
        {
            tokens.Add(left + right);
            // As SentencePiece's are converted: every way to join two tokens to this one.
            for (int at = 1; at < left.Length + right.Length; at++)
            {
                (string first, string second) = ((left + right)[..at], (left + right)[at..]);
                if (tokens.Contains(first) && tokens.Contains(second))
                    merges.Add((first, second));
            }
        }
        return TokenizerFiles.ByteFallback(characters, [.. merges]);

        bool Known(string token) => tokens.Contains(token);
    }

    /// <summary>Joins the most frequent neighbours of a text, again and again, and lists them.</summary>
    private static List<(string Left, string Right)> Learn(string text, int count)
    {
        List<string> symbols = [.. text.Select(c => c.ToString())];
        List<(string Left, string Right)> merges = [];
        while (merges.Count < count)
        {
            (string left, string right) = symbols
                .Zip(symbols.Skip(1))
                .GroupBy(pair => pair)
                .OrderByDescending(group => group.Count())
                .ThenBy(group => group.Key.First + group.Key.Second, StringComparer.Ordinal)
                .First()
                .Key;
            merges.Add((left, right));
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                if (symbols[i] != left || symbols[i + 1] != right)
                    continue;
                symbols[i] += right;
                symbols.RemoveAt(i + 1);
            }
        }
        return merges;
    }
}
