using System.Text.Json.Nodes;

namespace Spectral.Training.Tests;

public sealed class RecordEncoderTests : FolderTest
{
    private const int End = 99;

    // Byte-level with the merge "ab" → 256; with a begin token 257 if asked for.
    private BpeTokenizer Tokenizer(bool begin)
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [("a", "b")], TokenizerFiles.Added("<begin>"));
        if (begin)
            json["post_processor"] = JsonNode.Parse("""
                {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"B"}},{"Sequence":{"id":"A"}}],"special_tokens":{"B":{"ids":[257]}}}
                """);
        return TokenizerFiles.Load(folder, json);
    }

    private static void Check(EncodedRecord actual, int[] tokens, int promptLength, int lossFrom, bool cut)
    {
        Assert.That(actual.Tokens, Is.EqualTo(tokens));
        Assert.That((actual.PromptLength, actual.LossFrom, actual.Cut, actual.LossTokens), Is.EqualTo((promptLength, lossFrom, cut, tokens.Length - lossFrom)));
    }

    [Test]
    public void Prompt_and_completion_are_encoded_apart()
        => Check(RecordEncoder.Encode(TrainingRecord.Of("xa", "bab"), Tokenizer(begin: false), End, 9), ['x', 'a', 'b', 256, End], 2, 2, cut: false);

    [Test]
    public void The_begin_token_comes_from_the_post_processor()
    {
        Check(RecordEncoder.Encode(TrainingRecord.Of("x", "y"), Tokenizer(begin: true), End, 9), [257, 'x', 'y', End], 2, 2, cut: false);
        Check(RecordEncoder.Encode(TrainingRecord.Of("xy"), Tokenizer(begin: true), End, 9), [257, 'x', 'y', End], 1, 1, cut: false);
    }

    [Test]
    public void Every_token_of_a_text_but_the_first_carries_loss()
        => Check(RecordEncoder.Encode(TrainingRecord.Of("xyz"), Tokenizer(begin: false), End, 9), ['x', 'y', 'z', End], 0, 1, cut: false);

    [Test]
    public void Without_prompt_the_first_token_of_the_completion_carries_none()
        => Check(RecordEncoder.Encode(TrainingRecord.Of("", "yz"), Tokenizer(begin: false), End, 9), ['y', 'z', End], 0, 1, cut: false);

    [Test]
    public void Long_records_are_cut_from_the_left()
    {
        Check(RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), End, 8), ['1', '2', '3', '4', '5', 'y', 'z', End], 5, 5, cut: false);
        Check(RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), End, 5), ['4', '5', 'y', 'z', End], 2, 2, cut: true);
        Check(RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: true), End, 5), [257, '5', 'y', 'z', End], 2, 2, cut: true);
        Check(RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: true), End, 3), [257, 'z', End], 1, 1, cut: true);
        Check(RecordEncoder.Encode(TrainingRecord.Of("12345", "yz"), Tokenizer(begin: false), End, 2), ['z', End], 0, 1, cut: true);
        Check(RecordEncoder.Encode(TrainingRecord.Of("123"), Tokenizer(begin: false), End, 3), ['2', '3', End], 0, 1, cut: true);
    }

    [Test]
    public void Records_that_teach_nothing_name_their_line()
    {
        TrainingRecord[] records = [TrainingRecord.Of("x"), new(null, null, "", "f, line 2"), new("", "", null, "f, line 3")];
        BpeTokenizer plain = Tokenizer(begin: false);
        Assert.That(() => RecordEncoder.EncodeAll(records, plain, End, 9), Throws.TypeOf<InputException>().With.Message.StartsWith("f, line 2: nothing to learn"));
        Assert.That(RecordEncoder.EncodeAll(records, Tokenizer(begin: true), End, 9).Select(record => record.LossTokens), Is.EqualTo(new[] { 2, 1, 1 }));
        Assert.That(() => RecordEncoder.Encode(records[0], plain, End, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
