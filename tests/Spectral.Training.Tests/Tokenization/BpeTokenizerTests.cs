using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// Small tokenizers whose ids can be worked out by hand, and properties on random text. No reference ids are at hand
/// here.
/// </summary>
public sealed class BpeTokenizerTests : FolderTest
{
    private static readonly (string, string)[] Merges =
    [
        ("h", "e"),
        ("l", "l"),
        ("he", "ll"),
        ("hell", "o"),
        ("Ġ", "w"),
        ("o", "r"),
        ("Ġw", "or"),
        ("Ã", "©"),
    ];

    // Each adds a token, which only one may.
    private const string Twice = """
        {"type":"Sequence","processors":[
         {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B"}},{"Sequence":{"id":"A"}}],
         "special_tokens":{"B":{"ids":[1]}}},
         {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B"}},{"Sequence":{"id":"A"}}],
         "special_tokens":{"B":{"ids":[1]}}}]}
        """;

    // Bytes of one character, cut apart, would each count as where the text begins.
    private const string LateStart = """
        {"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Metaspace","prepend_scheme":"first"}]}
        """;

    private BpeTokenizer Load(JsonObject json) => TokenizerFiles.Load(folder, json);

    [Test]
    public void ByteLevelMergesByRank()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(null, Merges));

        // 256 he, 257 ll, 258 hell, 259 hello, 260 Ġw, 261 or, 262 Ġwor, 263 é; single bytes are their own ids.
        Assert.That(tokenizer.Encode("hello world"), Is.EqualTo(new[] { 259, 262, 'l', 'd' }));
        Assert.That(tokenizer.Encode("held"), Is.EqualTo(new[] { 256, 'l', 'd' }));
        Assert.That(tokenizer.Encode("hé"), Is.EqualTo(new[] { 'h', 263 }));
        Assert.That(tokenizer.Encode("€"), Is.EqualTo(new[] { 0xE2, 0x82, 0xAC }));
        Assert.That(tokenizer.Encode(""), Is.Empty);
        Assert.That(tokenizer.VocabularySize, Is.EqualTo(264));
        Assert.That(
            (tokenizer.TokenOf(259), tokenizer.TokenOf(264), tokenizer.PrefixIds.Count),
            Is.EqualTo(("hello", (string?)null, 0))
        );
        Assert.That(tokenizer.Decode([259, 262, 'l', 'd', 999]), Is.EqualTo("hello world"));
        Assert.That(tokenizer.Decode([0xE2, 0x82]), Is.EqualTo("\uFFFD"));
    }

    [Test]
    public void EqualPairsMergeFromTheLeft()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(null, [("a", "a"), ("aa", "a")]));
        Assert.That(tokenizer.Encode("aaaaa"), Is.EqualTo(new[] { 256, 257 }));
    }

    [Test]
    public void IgnoreMergesTakesWholePieces()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [("l", "l")]);
        json["model"]!["vocab"]!["hello"] = 300;
        Assert.That(Load(json).Encode("hello"), Is.EqualTo(new[] { 'h', 'e', 256, 'o' }));
        json["model"]!["ignore_merges"] = true;
        Assert.That(Load(json).Encode("hello hellos"), Is.EqualTo(new[] { 300, ' ', 'h', 'e', 256, 'o', 's' }));
    }

    [Test]
    public void MergesAgreeWithANaiveImplementation()
    {
        Random random = new(5);
        List<(string Left, string Right)> merges = [];
        List<string> tokens = ["a", "b", "c"];
        while (merges.Count < 40)
        {
            (string left, string right) = (tokens[random.Next(tokens.Count)], tokens[random.Next(tokens.Count)]);
            if (left.Length + right.Length > 8 || merges.Contains((left, right)))
                continue;
            merges.Add((left, right));
            if (!tokens.Contains(left + right))
                tokens.Add(left + right);
        }
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(null, merges));
        for (int trial = 0; trial < 500; trial++)
        {
            List<string> symbols = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => tokens[random.Next(3)])];
            string text = string.Concat(symbols);
            while (true)
            {
                int best = Enumerable
                    .Range(0, symbols.Count - 1)
                    .Where(i => merges.Contains((symbols[i], symbols[i + 1])))
                    .OrderBy(i => merges.IndexOf((symbols[i], symbols[i + 1])))
                    .ThenBy(i => i)
                    .FirstOrDefault(-1);
                if (best < 0)
                    break;
                symbols[best] += symbols[best + 1];
                symbols.RemoveAt(best + 1);
            }
            Assert.That(tokenizer.Encode(text).Select(tokenizer.TokenOf), Is.EqualTo(symbols), text);
        }
    }

    [Test]
    public void ALongPieceIsNotQuadratic()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(null, [("a", "b"), ("ab", "ab"), ("abab", "abab")]));
        var watch = Stopwatch.StartNew();
        int[] ids = tokenizer.Encode(string.Concat(Enumerable.Repeat("ab", 400_000)));
        Assert.That(ids, Has.Length.EqualTo(100_000).And.All.EqualTo(258));
        Assert.That(
            watch.Elapsed.TotalSeconds,
            Is.LessThan(30),
            "800,000 symbols take about a second; quadratic work would take hours"
        );
    }

    [Test]
    public void ByteLevelRoundTrips([Values(null, TokenizerFiles.Llama3, TokenizerFiles.Qwen2)] string? pattern)
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(pattern, Merges));
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(1000),
            Prop.ForAll(RandomText.Arbitrary, text => tokenizer.Decode(tokenizer.Encode(text)) == text)
        );
    }

    [Test]
    public void ByteFallbackRoundTrips()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteFallback("abde", ("▁", "a"), ("b", "d")));
        // The replacement character itself is turned into a space by the decoder.
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(1000),
            Prop.ForAll(
                RandomText.Arbitrary,
                text =>
                    text.Contains("<s>", StringComparison.Ordinal)
                    || tokenizer.Decode(tokenizer.Encode(text)) == text.Replace('▁', ' ')
            )
        );
    }

    [Test]
    public void ByteFallbackAsLlama2()
    {
        BpeTokenizer tokenizer = Load(
            TokenizerFiles.ByteFallback("helo wrd", ("l", "l"), ("h", "e"), ("▁", "he"), ("▁he", "ll"), ("▁hell", "o"))
        );
        // 259 ▁, 260 h, 261 e, 262 l, 263 o, 264 space, 265 w, 266 r, 267 d, 268 ll, 269 he, 270 ▁he, 271 ▁hell, 272
        // ▁hello.
        Assert.That(tokenizer.Encode("hello é"), Is.EqualTo(new[] { 1, 272, 259, 3 + 0xC3, 3 + 0xA9 }));
        Assert.That(tokenizer.Encode("hello", addSpecialTokens: false), Is.EqualTo(new[] { 272 }));
        Assert.That(
            tokenizer.Encode("<s>hello</s> w", addSpecialTokens: false),
            Is.EqualTo(new[] { 1, 272, 2, 259, 259, 265 })
        );
        Assert.That(tokenizer.PrefixIds, Is.EqualTo(new[] { 1 }));
        Assert.That(tokenizer.Decode([1, 272, 259, 3 + 0xC3, 3 + 0xA9, 2]), Is.EqualTo("hello é"));
        Assert.That(tokenizer.Decode([1, 272], skipSpecialTokens: false), Is.EqualTo("<s> hello"));
        Assert.That(tokenizer.Decode([3 + 0xC3, 265]), Is.EqualTo("\uFFFDw"));
    }

    [TestCase(true, new[] { 260, 0, 261 })]
    [TestCase(false, new[] { 260, 0, 0, 261 })]
    public void UnknownCharactersWithoutByteFallback(bool fuse, int[] ids)
    {
        JsonObject json = TokenizerFiles.ByteFallback("ab");
        json["model"]!["byte_fallback"] = false;
        json["model"]!["fuse_unk"] = fuse;
        json["normalizer"] = null;
        Assert.That(Load(json).Encode("axyb", addSpecialTokens: false), Is.EqualTo(ids));
        json["model"]!["unk_token"] = null;
        Assert.That(Load(json).Encode("axyb", addSpecialTokens: false), Is.EqualTo(new[] { 260, 261 }));
    }

    [Test]
    public void MetaspaceWithSchemeFirstKnowsTheStart()
    {
        JsonObject json = TokenizerFiles.ByteFallback("ab", ("▁", "a"));
        json["normalizer"] = null;
        json["pre_tokenizer"] = JsonNode.Parse(
            """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"""
        );
        json["decoder"] = JsonNode.Parse(
            """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"""
        );
        BpeTokenizer tokenizer = Load(json);
        // 259 ▁, 260 a, 261 b, 262 ▁a.
        Assert.That(tokenizer.Encode("a b</s>a", addSpecialTokens: false), Is.EqualTo(new[] { 262, 259, 261, 2, 260 }));
        Assert.That(tokenizer.Decode([262, 259, 261]), Is.EqualTo("a b"));
    }

    [Test]
    public void AddedTokensLongestFirstAndStripped()
    {
        BpeTokenizer tokenizer = Load(
            TokenizerFiles.ByteLevel(
                null,
                [],
                TokenizerFiles.Added("<a>"),
                TokenizerFiles.Added("<a><b>"),
                TokenizerFiles.Added("<l>", lstrip: true),
                TokenizerFiles.Added("<r>", rstrip: true),
                TokenizerFiles.Added("cat", singleWord: true, special: false)
            )
        );
        int[] x = ['x'];
        int[] y = ['y'];
        int[] space = [' '];

        Assert.That(tokenizer.Encode("x<a><b>y<a>"), Is.EqualTo((int[])[.. x, 257, .. y, 256]));
        Assert.That(tokenizer.Encode("x  <l> y"), Is.EqualTo((int[])[.. x, 258, .. space, .. y]));
        Assert.That(tokenizer.Encode("x <r> \n y"), Is.EqualTo((int[])[.. x, .. space, 259, .. y]));
        Assert.That(tokenizer.Encode("cat cats"), Is.EqualTo((int[])[260, .. space, 'c', 'a', 't', 's']));
        Assert.That(tokenizer.Encode("écat"), Has.No.Member(260));
        Assert.That(tokenizer.Decode([256, 'x', 260]), Is.EqualTo("xcat"));
        Assert.That(tokenizer.Decode([256, 'x', 260], skipSpecialTokens: false), Is.EqualTo("<a>xcat"));
        Assert.That((tokenizer.IsSpecial(256), tokenizer.IsSpecial(260)), Is.EqualTo((true, false)));
    }

    [Test]
    public void NormalizedAddedTokensAreFoundInNormalizedText()
    {
        JsonObject json = TokenizerFiles.ByteLevel(
            null,
            [],
            TokenizerFiles.Added("e\u0301", normalized: true, special: false),
            TokenizerFiles.Added("a\u0301")
        );
        json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        BpeTokenizer tokenizer = Load(json);
        Assert.That(tokenizer.Encode("\u00E9e\u0301"), Is.EqualTo(new[] { 256, 256 }));
        Assert.That(tokenizer.Encode("\u00E1a\u0301"), Is.EqualTo(new[] { 0xC3, 0xA1, 257 }));
    }

    [Test]
    public void NfcComesBeforeTheMerges()
    {
        JsonObject json = TokenizerFiles.ByteLevel(TokenizerFiles.Qwen2, Merges);
        json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        Assert.That(Load(json).Encode("he\u0301"), Is.EqualTo(new[] { 'h', 263 }));
    }

    [Test]
    public void TemplatesInSequencesPutIdsAround()
    {
        JsonObject json = TokenizerFiles.ByteLevel(
            TokenizerFiles.Llama3,
            [],
            TokenizerFiles.Added("<begin>"),
            TokenizerFiles.Added("<end>")
        );
        json["post_processor"] = JsonNode.Parse(
            """
            {"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,
            "use_regex":true},
             {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B","type_id":0}},{"Sequence":{"id":"A",
             "type_id":0}},{"SpecialToken":{"id":"E","type_id":0}}],
              "pair":[],"special_tokens":{"B":{"id":"B","ids":[256],"tokens":["<begin>"]},"E":{"id":"E","ids":[257],
              "tokens":["<end>"]}}}]}
            """
        );
        BpeTokenizer tokenizer = Load(json);
        Assert.That(tokenizer.Encode("x"), Is.EqualTo(new[] { 256, 'x', 257 }));
        Assert.That(tokenizer.Encode("x", addSpecialTokens: false), Is.EqualTo(new[] { (int)'x' }));
        Assert.That((tokenizer.PrefixIds, tokenizer.SuffixIds), Is.EqualTo((new[] { 256 }, new[] { 257 })));
    }

    [Test]
    public void PrefixesAndSuffixesOfWords()
    {
        JsonObject json = JsonNode
            .Parse(
                """
                {"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Split","pattern":{"String":" "},
                "behavior":"Removed","invert":false},"post_processor":null,
                 "decoder":{"type":"BPEDecoder","suffix":"</w>"},
                 "model":{"type":"BPE","continuing_subword_prefix":"##","end_of_word_suffix":"</w>","vocab":{"a":0,
                 "##b":1,"##c</w>":2,"ab":3,"abc</w>":4,"a</w>":5},
                  "merges":["a ##b","ab ##c</w>"]}}
                """
            )!
            .AsObject();
        BpeTokenizer tokenizer = Load(json);
        Assert.That(tokenizer.Encode("abc a abb"), Is.EqualTo(new[] { 4, 5, 3 }));
        Assert.That(tokenizer.Decode([4, 5]), Is.EqualTo("abc a"));
    }

    [Test]
    public void HalfSurrogatesCountAsReplacementCharacters() =>
        Assert.That(
            Load(TokenizerFiles.ByteLevel(null, [])).Encode("\uD800x"),
            Is.EqualTo(new[] { 0xEF, 0xBF, 0xBD, 'x' })
        );

    [TestCase("model.type", "\"Unigram\"", "model.type is the string 'Unigram', expected BPE or WordPiece")]
    [TestCase("model.type", "\"Unigram\"", "'Unigram'")]
    [TestCase("model", "null", "model is missing")]
    [TestCase("model.vocab", "[]", "model.vocab is an array")]
    [TestCase("model.vocab", "{}", "model.merges[0] needs the token")]
    [TestCase("model.vocab.h", "-1", "'h'")]
    [TestCase("model.vocab.h", "16777216", "'h'")]
    [TestCase("model.vocab.h", "5", "the id 5")]
    [TestCase("model.merges", "[\"a b c\"]", "merges[0] is no pair")]
    [TestCase("model.merges", "[[\"a\"]]", "merges[0] is no pair")]
    [TestCase("model.merges", "[\"a b\",\"a z\"]", "merges[0] needs the token 'ab'")]
    [TestCase("model.dropout", "0.1", "model.dropout")]
    [TestCase("model.unk_token", "\"<none>\"", "model.unk_token")]
    [TestCase("normalizer", """{"type":"Precompiled"}""", "'Precompiled', expected BertNormalizer")]
    [TestCase("pre_tokenizer", "7", "pre_tokenizer is 7")]
    [TestCase(
        "post_processor",
        """{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>"]}""",
        "post_processor.cls is an array"
    )]
    [TestCase("post_processor", """{"type":"PairProcessing"}""", "'PairProcessing'")]
    [TestCase("post_processor", Twice, "nothing that adds tokens behind")]
    [TestCase(
        "post_processor",
        """{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]}""",
        "single[0].Sequence.id"
    )]
    [TestCase(
        "post_processor",
        """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B"}}]}""",
        "special_tokens"
    )]
    [TestCase(
        "post_processor",
        """{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"SpecialToken":"""
            + """{"id":"B"}}],"special_tokens":{"B":{"ids":[9999]}}}""",
        "9999"
    )]
    [TestCase("decoder", """{"type":"Unknown"}""", "'Unknown'")]
    [TestCase("pre_tokenizer", LateStart, "pretokenizers[1].prepend_scheme")]
    [TestCase("normalizer", """{"type":"Replace","pattern":{"Regex":"a*"},"content":"b"}""", "the empty text")]
    [TestCase("model.continuing_subword_prefix", "\"##\"", "merges[0] joins 'e', which does not begin with '##'")]
    [TestCase("added_tokens", """[{"id":500}]""", "added_tokens[0].content is missing")]
    public void WhatIsNotSupportedIsRefusedByName(string path, string value, string says)
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, Merges);
        string[] keys = path.Split('.');
        JsonObject owner = keys[..^1].Aggregate(json, (current, key) => current[key]!.AsObject());
        owner[keys[^1]] = JsonNode.Parse(value);
        Assert.That(
            () => Load(json),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith(folder.File("tokenizer.json"))
                .And.Message.Contains(says)
        );
    }

    [Test]
    public void AddedTokensDoNotTakeIdsBeyondAGapOfTheVocabulary()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added("<x>"));
        json["model"]!["vocab"]!["h"] = 256;
        Assert.That(
            () => Load(json),
            Throws.TypeOf<InputException>().With.Message.Contains("'<x>' takes the next id, 256, which 'h' has")
        );
    }

    [TestCase("""{"type":"Strip","strip_left":true,"strip_right":false}""")]
    [TestCase("""{"type":"Replace","pattern":{"String":"ab"},"content":"c"}""")]
    [TestCase("""{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"StripAccents"}]}""")]
    public void ATextWhoseBeginningMayBeTakenAwayHasNoBeginningToAskFor(string normalizer)
    {
        JsonObject json = TokenizerFiles.ByteFallback("ab");
        json["normalizer"] = JsonNode.Parse(normalizer);
        json["pre_tokenizer"] = JsonNode.Parse("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}""");
        Assert.That(() => Load(json), Throws.TypeOf<InputException>().With.Message.Contains("beside this normalizer"));
    }

    [Test]
    public void FoldersWithoutATokenizerSaySo()
    {
        Assert.That(
            () => BpeTokenizer.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("no tokenizer, expected tokenizer.json")
        );
        folder.Write("tokenizer.model", "x");
        Assert.That(
            () => BpeTokenizer.Load(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("SentencePiece")
        );
    }

    [Test]
    public void ANormalizerThatGrowsTextWithoutEndIsStopped()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        JsonArray steps = [];
        for (int i = 0; i < 40; i++)
            steps.Add(JsonNode.Parse("""{"type":"Replace","pattern":{"String":"a"},"content":"aa"}"""));
        json["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = steps };
        Assert.That(
            () => Load(json).Encode("a"),
            Throws.TypeOf<InputException>().With.Message.Contains("at most 64 steps")
        );
    }

    [Test]
    public void LettersOfTheByteAlphabetInATextAreNotTakenForTheBytesTheyStandFor()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(null, [("Ġ", "a")]));
        // 256 is a with a space before it; U+0120 stands for the space, and is two bytes itself.
        Assert.That(tokenizer.Encode(" a"), Is.EqualTo(new[] { 256 }));
        Assert.That(tokenizer.Encode("Ġa"), Is.EqualTo(new[] { 0xC4, 0xA0, 'a' }));
        Assert.That(tokenizer.Encode(" a"), Is.EqualTo(new[] { 256 }));
    }

    [Test]
    public void SeveralThreadsEncodeAlike()
    {
        BpeTokenizer tokenizer = Load(TokenizerFiles.ByteLevel(TokenizerFiles.Llama3, Merges));
        string text = new StringBuilder().Insert(0, "hello world 1234 é! ", 50).ToString();
        int[] expected = tokenizer.Encode(text);
        int[][] results = new int[8][];
        Parallel.For(0, results.Length, i => results[i] = tokenizer.Encode(text));
        Assert.That(results, Is.All.EqualTo(expected));
    }
}
