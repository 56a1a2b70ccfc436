using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// Files beside tokenizer.json. Ids are those of transformers 4.57's PreTrainedTokenizerFast, worked out by hand from
/// its source and that of tokenizers' <c>AddedVocabulary::add_tokens</c>: bytes are ids 0 to 255, tokens of
/// tokenizer.json follow.
/// </summary>
public sealed class TokenizerCompanionsTests : FolderTest
{
    private const int End = 256;
    private const int Begin = 257;

    private BpeTokenizer Load(string? config = null, string? map = null, string? added = null, string template = "")
    {
        (string Name, string? Text)[] files =
        [
            ("tokenizer_config.json", config),
            ("special_tokens_map.json", map),
            ("added_tokens.json", added),
        ];
        foreach ((string name, string? text) in files)
        {
            if (text is not null)
                folder.Write(name, text);
        }
        JsonObject json = TokenizerFiles.ByteLevel(
            null,
            [],
            TokenizerFiles.Added("<end>"),
            TokenizerFiles.Added("<begin>")
        );
        JsonArray single =
        [
            .. template.Select(part =>
                (JsonNode)
                    new JsonObject
                    {
                        [part == 'A' ? "Sequence" : "SpecialToken"] = new JsonObject { ["id"] = part.ToString() },
                    }
            ),
        ];
        if (template.Length > 0)
        {
            json["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = single,
                ["special_tokens"] = JsonNode.Parse("""{"B":{"ids":[257]},"E":{"ids":[256]}}"""),
            };
        }
        return TokenizerFiles.Load(folder, json);
    }

    private static void Warns(BpeTokenizer tokenizer, params string[] says)
    {
        Assert.That(
            tokenizer.Warnings,
            Has.Count.EqualTo(says.Length > 0 ? 1 : 0),
            string.Join('\n', tokenizer.Warnings)
        );
        foreach (string text in says)
            Assert.That(tokenizer.Warnings[0], Does.Contain(text));
    }

    [Test]
    public void TokensThatOnlyTheConfigHasAreAddedWithTheirFlags()
    {
        BpeTokenizer tokenizer = Load(
            """
            {"added_tokens_decoder":{"259":{"content":"<r>","rstrip":true,"special":false,"normalized":false},
             "258":{"content":"<tool>","special":true}}}
            """
        );
        Assert.That(tokenizer.Encode("a<tool>b<r>  c"), Is.EqualTo(new[] { 'a', 258, 'b', 259, 'c' }));
        Assert.That(
            (tokenizer.IsSpecial(258), tokenizer.IsSpecial(259), tokenizer.VocabularySize),
            Is.EqualTo((true, false, 260))
        );
        Warns(tokenizer);
    }

    [Test]
    public void FlagsOfTheConfigCount()
    {
        BpeTokenizer tokenizer = Load(
            """{"added_tokens_decoder":{"256":{"content":"<end>","lstrip":true,"special":true}}}"""
        );
        Assert.That(tokenizer.Encode("a <end>"), Is.EqualTo(new[] { 'a', End }));
        Warns(tokenizer);
    }

    [Test]
    public void TokensOfAddedTokensJsonAreSpecialIfTheMapNamesThem()
    {
        BpeTokenizer tokenizer = Load(
            added: """{"<x>":258,"<y>":259}""",
            map: """{"additional_special_tokens":["<x>"],"eos_token":"<end>"}"""
        );
        Assert.That(tokenizer.Encode("<y><x>"), Is.EqualTo(new[] { 259, 258 }));
        Assert.That(
            (tokenizer.IsSpecial(258), tokenizer.IsSpecial(259), tokenizer.EndToken),
            Is.EqualTo((true, false, (End, "special_tokens_map.json")))
        );
        Warns(tokenizer);
    }

    [Test]
    public void BesideAddedTokensDecoderTheOlderFilesAddNothing()
    {
        BpeTokenizer tokenizer = Load(
            """{"added_tokens_decoder":{},"eos_token":"<end>"}""",
            """{"pad_token":"<p>"}""",
            """{"<x>":258}"""
        );
        Assert.That(tokenizer.Encode("<x>"), Is.EqualTo(new[] { '<', 'x', (int)'>' }));
        Warns(tokenizer);
    }

    [TestCase(
        """{"pad_token":"<p>","additional_special_tokens":["<q>",{"content":"<r>","lstrip":true}]}""",
        new[] { 258, 259, 260 }
    )]
    [TestCase(
        """{"pad_token":{"content":"<p>"},"extra_special_tokens":{"q_token":"<q>","r_token":"<r>"}}""",
        new[] { 258, 259, 260 }
    )]
    [TestCase("""{"pad_token":"a","extra_special_tokens":["<q>","<r>","<p>"]}""", new[] { 260, 258, 259 })]
    public void SpecialTokensThatNoListHasTakeTheNextIds(string config, int[] expected)
    {
        BpeTokenizer tokenizer = Load(config);
        Assert.That(tokenizer.Encode("<p><q><r>"), Is.EqualTo(expected));
        Warns(tokenizer);
    }

    [TestCase(
        """{"added_tokens_decoder":{"300":{"content":"<tool>"}}}""",
        258,
        "<tool>",
        "has the id 300, but 258 counts"
    )]
    [TestCase(
        """{"added_tokens_decoder":{"258":{"content":"<end>","special":true}}}""",
        End,
        "<end>",
        "has the id 258, but 256 counts"
    )]
    [TestCase(
        """{"added_tokens_decoder":{"257":{"content":"<tool>"}}}""",
        258,
        "<tool>",
        "has the id 257, but 258 counts"
    )]
    [TestCase(
        """{"added_tokens_decoder":{"300":{"content":"<y>"},"299":{"content":"<tool>"}}}""",
        258,
        "<tool>",
        "has the id 299, but 258 counts",
        "1 more"
    )]
    public void IdsOtherThanThoseTheCoreGivesAreMentioned(string config, int id, string token, params string[] says)
    {
        BpeTokenizer tokenizer = Load(config);
        Assert.That(tokenizer.Encode(token), Is.EqualTo(new[] { id }));
        Warns(tokenizer, [.. says, InputText.Quote(token), "tokenizer_config.json"]);
    }

    // Tokenizers 0.23 says of such a file "was expected to have ID '500' but was given ID '256'".
    [TestCase("<x>", 5, 256)]
    [TestCase("<x>", 500, 256)]
    [TestCase("a", 500, 'a')]
    public void IdsInTokenizerJsonDoNotCountEither(string content, int written, int expected)
    {
        folder.Write(
            "tokenizer_config.json",
            $$"""{"added_tokens_decoder":{"{{written}}":{"content":"{{content}}"} } }"""
        );
        BpeTokenizer tokenizer = TokenizerFiles.Load(
            folder,
            TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added(content, written))
        );
        Assert.That(tokenizer.Encode(content), Is.EqualTo(new[] { expected }));
        Warns(tokenizer, folder.File("tokenizer.json"), $"has the id {written}, but {expected} counts");
    }

    // update_post_processor of LlamaTokenizerFast 4.57; PreTrainedTokenizerFast has none, nor has Qwen2TokenizerFast.
    [TestCase("LlamaTokenizerFast", "true", "null", "", new[] { Begin, 'x' }, "add_bos_token is true")]
    [TestCase("LlamaTokenizer", "false", "null", "BA", new[] { (int)'x' }, "add_bos_token is false")]
    [TestCase("GemmaTokenizer", "null", "true", "BA", new[] { Begin, 'x', End }, "add_eos_token is true")]
    [TestCase("LlamaTokenizer", "true", "false", "BA", new[] { Begin, 'x' }, null)]
    [TestCase("PreTrainedTokenizerFast", "true", "null", "", new[] { (int)'x' }, "add_bos_token is true")]
    [TestCase("Qwen2Tokenizer", "false", "false", "BAE", new[] { Begin, 'x', End }, null)]
    [TestCase("Qwen2Tokenizer", "false", "null", "", new[] { (int)'x' }, null)]
    public void BeginAndEndFollowTheKeysForTheClassesThatHeedThem(
        string kind,
        string begin,
        string end,
        string template,
        int[] expected,
        string? says
    )
    {
        BpeTokenizer tokenizer = Load(
            $$"""
            {"tokenizer_class":"{{kind}}","add_bos_token":{{begin}},"add_eos_token":{{end}},
             "bos_token":"<begin>","eos_token":"<end>"}
            """,
            template: template
        );
        Assert.That(tokenizer.Encode("x"), Is.EqualTo(expected));
        if (kind == "Qwen2Tokenizer" && template.Length > 0)
            Assert.That(tokenizer.Warnings, Has.Count.EqualTo(2), "neither key is heeded");
        else
            Warns(tokenizer, says is null ? [] : [says, "tokenizer_config.json", kind]);
    }

    [Test]
    public void WithoutAClassTheModelsFamilySaysWhichItIs()
    {
        folder.Write("config.json", """{"model_type":"mistral"}""");
        Assert.That(
            Load("""{"add_bos_token":true,"bos_token":"<begin>"}""").Encode("x"),
            Is.EqualTo(new[] { Begin, 'x' })
        );
    }

    [TestCase("""{"add_prefix_space":true}""", "add_prefix_space is true")]
    [TestCase("""{"add_prefix_space":false}""", null)]
    [TestCase("""{"split_special_tokens":true}""", "split_special_tokens")]
    [TestCase("""{"add_bos_token":true,"tokenizer_class":"LlamaTokenizer"}""", "no file names the token")]
    public void WhatIsNotHeededIsMentioned(string config, string? says) =>
        Warns(Load(config), says is null ? [] : [says]);

    [Test]
    public void FilesThatNameDifferentEndTokensAreMentioned()
    {
        BpeTokenizer tokenizer = Load("""{"eos_token":"<end>"}""", """{"eos_token":{"content":"<begin>"}}""");
        Assert.That(tokenizer.EndToken, Is.EqualTo((Begin, "special_tokens_map.json")));
        Warns(tokenizer, "'<begin>'", "'<end>'", "that of special_tokens_map.json counts");
    }

    [TestCase("tokenizer_config.json", """{"pad_token":"LONG"}""")]
    [TestCase("special_tokens_map.json", """{"additional_special_tokens":["LONG"]}""")]
    [TestCase("tokenizer_config.json", """{"added_tokens_decoder":{"258":{"content":"LONG"}}}""")]
    [TestCase("added_tokens.json", """{"LONG":258}""")]
    public void TokensTooLongToLookForAreRefused(string file, string text)
    {
        folder.Write(file, text.Replace("LONG", new string('a', 1025)));
        Assert.That(
            () => Load(),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith(folder.File(file))
                .And.Message.Contains("expected at most 1024")
        );
    }

    [TestCase("tokenizer_config.json", """{"added_tokens_decoder":{"x":{"content":"a"}}}""", "'x', expected an id")]
    [TestCase(
        "tokenizer_config.json",
        """{"added_tokens_decoder":{"5":"a"}}""",
        "added_tokens_decoder.5 is the string 'a'"
    )]
    [TestCase("tokenizer_config.json", """{"eos_token":5}""", "eos_token is 5, expected a token")]
    [TestCase("special_tokens_map.json", """{"additional_special_tokens":[5]}""", "additional_special_tokens[0] is 5")]
    [TestCase("added_tokens.json", """{"<x>":-1}""", "<x> is -1")]
    [TestCase("added_tokens.json", "[]", "an array of 0, expected an object")]
    public void WhatIsMalformedIsNamed(string file, string text, string says)
    {
        folder.Write(file, text);
        Assert.That(
            () => Load(),
            Throws.TypeOf<InputException>().With.Message.StartsWith(folder.File(file)).And.Message.Contains(says)
        );
    }
}
