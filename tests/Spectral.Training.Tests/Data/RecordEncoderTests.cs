using System.Text.Json.Nodes;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Data;

public sealed class RecordEncoderTests : FolderTest
{
    private const int End = 99;

    // Byte-level with the merge "ab" → 256; with a begin token 257 if asked for.
    private BpeTokenizer Tokenizer(bool begin)
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [("a", "b")], TokenizerFiles.Added("<begin>"));
        if (begin)
        {
            json["post_processor"] = JsonNode.Parse(
                """
                {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B"}},{"Sequence":{"id":"A"}}],
                "special_tokens":{"B":{"ids":[257]}}}
                """
            );
        }

        return TokenizerFiles.Load(folder, json);
    }

    private static void Check(EncodedRecord actual, int[] tokens, int promptLength, int lossFrom, bool cut)
    {
        Assert.That(actual.Tokens, Is.EqualTo(tokens));
        Assert.That(
            (actual.PromptLength, actual.LossFrom, actual.Cut, actual.LossTokens),
            Is.EqualTo((promptLength, lossFrom, cut, tokens.Length - lossFrom))
        );
    }

    [Test]
    public void PromptAndCompletionAreEncodedApart() =>
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("xa", "bab"), Tokenizer(begin: false), [End], 9),
            ['x', 'a', 'b', 256, End],
            2,
            2,
            cut: false
        );

    [Test]
    public void TheBeginTokenComesFromThePostProcessor()
    {
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("x", "y"), Tokenizer(begin: true), [End], 9),
            [257, 'x', 'y', End],
            2,
            2,
            cut: false
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("xy"), Tokenizer(begin: true), [End], 9),
            [257, 'x', 'y', End],
            1,
            1,
            cut: false
        );
    }

    [Test]
    public void EveryTokenOfATextButTheFirstCarriesLoss() =>
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("xyz"), Tokenizer(begin: false), [End], 9),
            ['x', 'y', 'z', End],
            0,
            1,
            cut: false
        );

    [Test]
    public void WithoutPromptTheFirstTokenOfTheCompletionCarriesNone() =>
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("", "yz"), Tokenizer(begin: false), [End], 9),
            ['y', 'z', End],
            0,
            1,
            cut: false
        );

    [Test]
    public void LongRecordsAreCutFromTheLeft()
    {
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), [End], 8),
            ['1', '2', '3', '4', '5', 'y', 'z', End],
            5,
            5,
            cut: false
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), [End], 5),
            ['4', '5', 'y', 'z', End],
            2,
            2,
            cut: true
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: true), [End], 5),
            [257, '5', 'y', 'z', End],
            2,
            2,
            cut: true
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: true), [End], 3),
            [257, 'z', End],
            1,
            1,
            cut: true
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), [End], 2),
            ['z', End],
            0,
            1,
            cut: true
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("123"), Tokenizer(begin: false), [End], 3),
            ['2', '3', End],
            0,
            1,
            cut: true
        );
    }

    [Test]
    public void RecordsThatTeachNothingNameTheirLine()
    {
        TrainingRecord[] records =
        [
            TrainingRecord.Of("x"),
            new(null, null, "", "f, line 2"),
            new("", "", null, "f, line 3"),
        ];
        BpeTokenizer plain = Tokenizer(begin: false);
        Assert.That(
            () => RecordEncoder.EncodeAll(records, plain, [End], 9),
            Throws.TypeOf<InputException>().With.Message.StartsWith("f, line 2: nothing to learn")
        );
        Assert.That(
            RecordEncoder.EncodeAll(records, Tokenizer(begin: true), [End], 9).Select(record => record.LossTokens),
            Is.EqualTo(new[] { 2, 1, 1 })
        );
        Assert.That(
            () => RecordEncoder.Encode(records[0], plain, [End], 1),
            Throws.TypeOf<ArgumentOutOfRangeException>()
        );
    }

    private BpeTokenizer Template()
    {
        JsonObject json = TokenizerFiles.ByteLevel(
            null,
            [],
            TokenizerFiles.Added("<end>"),
            TokenizerFiles.Added("<begin>")
        );
        json["post_processor"] = JsonNode.Parse(
            """
            {"type":"TemplateProcessing",
             "single":[{"SpecialToken":{"id":"B"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"E"}}],
             "special_tokens":{"B":{"ids":[257]},"E":{"ids":[256]}}}
            """
        );
        return TokenizerFiles.Load(folder, json);
    }

    [TestCase("x")]
    [TestCase("<begin>x")]
    [TestCase("x<end>")]
    [TestCase("<begin>x<end>")]
    public void BeginAndEndStandOnceWhetherTemplateOrTextHasThem(string text)
    {
        BpeTokenizer tokenizer = Template();
        Check(
            RecordEncoder.Encode(TrainingRecord.Of(text), tokenizer, [256, 99], 9),
            [257, 'x', 256],
            1,
            1,
            cut: false
        );
        var pair = TrainingRecord.Of("<begin>p", text.Replace("<begin>", ""));
        Check(RecordEncoder.Encode(pair, tokenizer, [256, 99], 9), [257, 'p', 'x', 256], 2, 2, cut: false);
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("", text), tokenizer, [256, 99], 9),
            [257, 'x', 256],
            1,
            1,
            cut: false
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("x<end>"), tokenizer, [99, 256], 9),
            [257, 'x', 256],
            1,
            1,
            cut: false
        );
        Assert.That(tokenizer.EncodePrompt("<begin>p"), Is.EqualTo(new[] { 257, 'p' }));
        Assert.That(tokenizer.EncodePrompt("p"), Is.EqualTo(new[] { 257, 'p' }));
    }

    // The ids of the joined text, by hand: ▁ is 259, then the characters a = 260, b, 4, =; "▁a" is 264.
    private const int Space = 259;
    private const int A = 260;
    private const int B = 261;
    private const int Four = 262;
    private const int Equal = 263;
    private const int SpaceA = 264;

    private BpeTokenizer PutsSpaces(string kind)
    {
        JsonObject json = TokenizerFiles.ByteFallback("ab4=", ("▁", "a"));
        if (kind != "Prepend")
        {
            json["normalizer"] = null;
            json["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace",
                ["replacement"] = "▁",
                ["prepend_scheme"] = kind,
                ["split"] = false,
            };
        }
        json["added_tokens"]!.AsArray().Add(TokenizerFiles.Added("<sep>", 265, rstrip: true));
        return TokenizerFiles.Load(folder, json);
    }

    [TestCase("Prepend", "b=", "4", new[] { Space, B, Equal }, new[] { Four })]
    [TestCase("always", "b=", "4", new[] { Space, B, Equal }, new[] { Four })]
    [TestCase("first", "b=", "4", new[] { Space, B, Equal }, new[] { Four })]
    [TestCase("Prepend", "b=", " a", new[] { Space, B, Equal }, new[] { SpaceA })]
    [TestCase("always", "b= ", "a", new[] { Space, B, Equal, Space }, new[] { A })]
    [TestCase("Prepend", "b</s>", "a", new[] { Space, B, 2 }, new[] { SpaceA })]
    [TestCase("always", "b</s>", "a", new[] { Space, B, 2 }, new[] { SpaceA })]
    [TestCase("first", "b</s>", "a", new[] { Space, B, 2 }, new[] { A })]
    [TestCase("first", "b<sep>", " 4", new[] { Space, B, 265 }, new[] { Four })]
    [TestCase("Prepend", "b=", "4</s>a", new[] { Space, B, Equal }, new[] { Four, 2, SpaceA })]
    [TestCase("Prepend", "", "a", new int[0], new[] { SpaceA })]
    [TestCase("first", "<s>", "a", new int[0], new[] { A })]
    [TestCase("first", "<s>", "<s>a", new int[0], new[] { 1, A })]
    [TestCase("first", "b=", "</s>a", new[] { Space, B, Equal }, new[] { 2, A })]
    [TestCase("Prepend", "<s></s>", "a", new[] { 2 }, new[] { SpaceA })]
    public void NoSpaceIsPutBetweenPromptAndCompletion(
        string kind,
        string prompt,
        string completion,
        int[] before,
        int[] behind
    )
    {
        EncodedRecord record = RecordEncoder.Encode(TrainingRecord.Of(prompt, completion), PutsSpaces(kind), [2], 20);
        Assert.That(record.Tokens, Is.EqualTo((int[])[1, .. before, .. behind, 2]));
        Assert.That(record.PromptLength, Is.EqualTo(1 + before.Length));
    }

    [Test]
    public void ByteLevelTokenizersPutNoSpaceThereEither()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        json["pre_tokenizer"]!["add_prefix_space"] = true;
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("x", "y"), TokenizerFiles.Load(folder, json), [End], 9),
            [' ', 'x', 'y', End],
            2,
            2,
            cut: false
        );
    }

    // As in "xy z": the first piece goes on with the prompt's, the next one begins as pieces do.
    [Test]
    public void PiecesBehindTheFirstHaveWhatTheyHaveInTheJoinedText()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        json["pre_tokenizer"] = JsonNode.Parse(
            """
            {"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"ByteLevel","use_regex":false}]}
            """
        );
        Check(
            RecordEncoder.Encode(TrainingRecord.Of("x", "y z"), TokenizerFiles.Load(folder, json), [End], 9),
            [' ', 'x', 'y', ' ', 'z', End],
            2,
            2,
            cut: false
        );
    }
}
