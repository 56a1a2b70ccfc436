using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Data;

/// <summary>Checks questions with choices: their answers, what is none, and how they become tokens.</summary>
public sealed class MultipleChoiceFormatTests : FolderTest
{
    private const int End = 99;

    [TestCase("1")]
    [TestCase("\"no\"")]
    [TestCase("\"  no \"")]
    public void TheAnswerIsANumberOrTheText(string answer)
    {
        TrainingRecord record = Read($$"""{"prompt":"P:","choices":[" yes"," no"],"answer":{{answer}}}""");
        Assert.Multiple(() =>
        {
            Assert.That((record.Prompt, record.Completion, record.Answer), Is.EqualTo(("P:", " no", 1)));
            Assert.That(record.Choices, Is.EqualTo(new[] { " yes", " no" }));
        });
    }

    [Test]
    public void APromptWithACompletionStaysWhatItIs() =>
        Assert.That(Read("""{"prompt":"P","completion":"C","choices":"a,b"}""").Choices, Is.Null);

    [TestCase("""{"choices":["a","b"],"answer":0}""", "prompt missing or null, expected prompt, choices and answer")]
    [TestCase("""{"prompt":"P","choices":[],"answer":0}""", "choices has 0 of them, expected two or more")]
    [TestCase("""{"prompt":"P","choices":["a"],"answer":0}""", "choices has 1 of them, expected two or more")]
    [TestCase("""{"prompt":"P","choices":["a"," "],"answer":0}""", "choices has ' ', expected text that is not blank")]
    [TestCase("""{"prompt":"P","choices":["a","b"],"answer":2}""", "answer is 2, expected 0 to 1 or the text")]
    [TestCase("""{"prompt":"P","choices":["a","b"],"answer":-1}""", "answer is -1, expected 0 to 1")]
    [TestCase("""{"prompt":"P","choices":["a","b"],"answer":0.5}""", "answer is 0.5, expected 0 to 1")]
    [TestCase("""{"prompt":"P","choices":["a","b"],"answer":"c"}""", "answer 'c' is 0 of the choices, expected")]
    [TestCase("""{"prompt":"P","choices":["a","a"],"answer":"a"}""", "answer 'a' is 2 of the choices, expected")]
    [TestCase("""{"prompt":"P","choices":["a","b"],"answer":[0]}""", "answer missing or of another kind, expected")]
    public void WhatIsNoneNamesItsLine(string record, string says) =>
        Assert.That(
            () => Read($"\n{record}"),
            Throws.TypeOf<InputException>().With.Message.StartsWith($"{folder.File("d.jsonl")}, line 2: {says}")
        );

    /// <summary>The answer trains with its end token; choices are scored without one.</summary>
    [Test]
    public void ChoicesAreTokensAfterThePrompt()
    {
        BpeTokenizer tokenizer = TokenizerFiles.Load(folder, TokenizerFiles.ByteLevel(null, [("a", "b")]));
        EncodedRecord record = RecordEncoder.Encode(
            Read("""{"prompt":"xa","choices":["b"," ab🙂 "],"answer":1,"adapter":"one"}"""),
            tokenizer,
            [End],
            9
        );
        Assert.Multiple(() =>
        {
            Assert.That(record.Tokens, Is.EqualTo(new[] { 'a', ' ', 256, 0xF0, 0x9F, 0x99, 0x82, ' ', End }));
            Assert.That(record.Cut, Is.True);
            Assert.That(record.Answer, Is.EqualTo(1));
            Assert.That(record.Choices!.Select(choice => choice.Characters), Is.EqualTo(new[] { 1, 3 }));
            Assert.That(record.Choices![0].Record.Tokens, Is.EqualTo(new[] { 'x', 'a', 'b' }));
            Assert.That(record.Choices[0].Record.LossTokens, Is.EqualTo(1));
            Assert.That(record.Choices.Select(choice => choice.Record.Adapter), Is.All.EqualTo("one"));
            Assert.That(record.Choices[1].Record.LossTokens, Is.EqualTo(7));
        });
    }

    private TrainingRecord Read(string records) => RecordReader.Load(folder.Write("d.jsonl", records))[0];
}
