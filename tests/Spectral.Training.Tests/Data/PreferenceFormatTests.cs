using System.Text;
using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Data;

/// <summary>Checks pairs: texts and conversations, with and without a prompt, and what is no pair.</summary>
public sealed class PreferenceFormatTests : FolderTest
{
    private const string Template =
        "{% if tools %}T{% endif %}{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}.{% endfor %}"
        + "{% if add_generation_prompt %}<a>{% endif %}";

    private const string User = """{"role":"user","content":"q"}""";
    private const string Good = """{"role":"assistant","content":"yes"}""";
    private const string Bad = """{"role":"assistant","content":"no"}""";

    [TestCase("auto", TestName = "APairIsKnownByItsKeys")]
    [TestCase("preference", TestName = "APairIsReadByName")]
    public void TextsBecomeTwoRecordsOfOnePrompt(string format)
    {
        TrainingRecord record = Read("""{"prompt":"P","chosen":"C","rejected":"R","score":3}""", format);
        Assert.That((record.Prompt, record.Completion), Is.EqualTo(("P", "C")));
        Assert.That((record.Rejected!.Prompt, record.Rejected.Completion), Is.EqualTo(("P", "R")));
        Assert.That(record.Rejected.Place, Is.EqualTo(record.Place).And.EndsWith("line 1"));
    }

    // TRL's three forms of a conversation: explicit prompt, implicit prompt, and a text that repeats the question.
    [TestCase($$"""{"prompt":[{{User}}],"chosen":[{{Good}}],"rejected":[{{Bad}}]}""")]
    [TestCase($$"""{"chosen":[{{User}},{{Good}}],"rejected":[{{User}},{{Bad}}]}""")]
    [TestCase($$"""{"prompt":"q","chosen":[{{User}},{{Good}}],"rejected":[{{User}},{{Bad}}]}""")]
    public void ConversationsAreRenderedAndTheAnswerAloneCounts(string json)
    {
        EncodedRecord chosen = Encode(json);
        EncodedRecord rejected = chosen.Rejected!;
        Assert.Multiple(() =>
        {
            Assert.That(Text(chosen.Tokens), Is.EqualTo("<u>q.<a>yes."));
            Assert.That(Text(rejected.Tokens), Is.EqualTo("<u>q.<a>no."));
            Assert.That(Text(chosen.Tokens[chosen.PromptLength..]), Is.EqualTo("yes."));
            Assert.That(Text(rejected.Tokens[rejected.PromptLength..]), Is.EqualTo("no."));
            Assert.That((chosen.LossTokens, rejected.LossTokens), Is.EqualTo((4, 3)));
        });
    }

    [Test]
    public void AllMessagesAfterThePromptCountAndOtherKeysAreVariables()
    {
        EncodedRecord chosen = Encode(
            $$"""{"prompt":[{{User}}],"chosen":[{{Bad}},{{User}},{{Good}}],"rejected":[{{Bad}}],"tools":[1]}"""
        );
        Assert.That(Text(chosen.Tokens), Is.EqualTo("T<u>q.<a>no.<u>q.<a>yes."));
        Assert.That(Text(chosen.Tokens[chosen.PromptLength..]), Is.EqualTo("no.<u>q.<a>yes."));
        Assert.That(chosen.LossTokens, Is.EqualTo(15));
    }

    [Test]
    public void EachSideIsCutOnTheLeft()
    {
        EncodedRecord pair = Encode("""{"prompt":"12345","chosen":"abc","rejected":"x"}""", maximumLength: 6);
        Assert.Multiple(() =>
        {
            Assert.That(Text(pair.Tokens), Is.EqualTo("45abc\0"));
            Assert.That(Text(pair.Rejected!.Tokens), Is.EqualTo("2345x\0"));
            Assert.That((pair.Cut, pair.Longest, pair.MostLossTokens), Is.EqualTo((true, 6, 4)));
        });
    }

    [Test]
    public void MessagesCountBeforeAPair() =>
        Assert.That(
            Read(
                $$"""{"messages":[{{User}}],"chosen":[{{Good}}],"rejected":[{{Bad}}],"prompt":"q"}""",
                "auto"
            ).Rejected,
            Is.Null
        );

    [Test]
    public void ChosenSidesComeFirstInABatch()
    {
        EncodedRecord[] pairs =
        [
            Encode("""{"prompt":"p","chosen":"ab","rejected":"c"}"""),
            Encode("""{"prompt":"qr","chosen":"s","rejected":"tuv"}"""),
        ];
        var batch = Batch.CreatePairs(pairs);
        Assert.Multiple(() =>
        {
            Assert.That((batch.Rows, batch.Length, batch.LossTokens), Is.EqualTo((4, 6, 11)));
            Assert.That(Text(batch.Tokens), Is.EqualTo("pab\0\0\0qrs\0\0\0pc\0\0\0\0qrtuv\0"));
            Assert.That(batch.Pairs, Is.SameAs(pairs));
        });
    }

    [TestCase("""{"prompt":"a","chosen":"b"}""", "rejected missing or null, expected prompt, chosen and rejected")]
    [TestCase("""{"prompt":"a","chosen":null,"rejected":"b"}""", "chosen missing or null, expected prompt, chosen")]
    [TestCase("""{"prompt":"a","rejected":"b"}""", "chosen missing or null, expected prompt, chosen and rejected")]
    [TestCase("""{"chosen":"a","rejected":"b"}""", "prompt missing or null, expected prompt, chosen and rejected")]
    [TestCase("""{"prompt":"a","chosen":"","rejected":"b"}""", "chosen is empty, expected the text or the messages")]
    [TestCase("""{"prompt":"a","chosen":[],"rejected":[]}""", "chosen is empty, expected the text or the messages")]
    [TestCase("""{"prompt":"a","chosen":"b","rejected":7}""", "rejected is 7, expected a text or a list of messages")]
    [TestCase("""{"prompt":["a"],"chosen":"b","rejected":"c"}""", "prompt is an array of 1, expected a string")]
    [TestCase("""{"prompt":"a","chosen":"b","rejected":[1]}""", "chosen is a text and rejected a list, expected both")]
    [TestCase(
        """{"chosen":[1],"rejected":[2]}""",
        "chosen and rejected begin with different messages, expected a prompt"
    )]
    [TestCase("""{"chosen":[1,2],"rejected":[1]}""", "chosen and rejected do not part before the end of one")]
    [TestCase("""{"prompt":[1],"chosen":[2],"rejected":[3]}""", "prompt[0] is no object, expected one with role")]
    [TestCase($$"""{"prompt":[{{User}}],"chosen":[{"role":"assistant"}],"rejected":[{{Bad}}]}""", "chosen[0] has no")]
    public void WhatIsNoPairNamesItsLine(string record, string says) =>
        Assert.That(
            () => Read($"\n{record}", "auto"),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith($"{folder.File("d.jsonl")}, line 2: {says}")
                .And.Message.Contains("expected")
        );

    private EncodedRecord Encode(string json, int maximumLength = 100)
    {
        folder.Write("chat_template.jinja", Template);
        return RecordEncoder.EncodeAll(
            [Read(json, "auto")],
            TokenizerFiles.Load(folder, TokenizerFiles.ByteLevel(null, [])),
            [0],
            maximumLength,
            ChatFormat.Load(folder.Path),
            TrainOn.Assistant
        )[0];
    }

    private TrainingRecord Read(string records, string format)
    {
        string path = folder.Write("d.jsonl", records);
        return RecordReader.Load(path, format == "auto" ? null : RecordFormats.Find(format))[0];
    }

    private static string Text(IEnumerable<int> tokens) =>
        Encoding.UTF8.GetString([.. tokens.Select(token => (byte)token)]);
}
