using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Data;

/// <summary>Checks texts, pairs and words with labels: their tokens, where labels are, and what is refused.</summary>
public sealed class ClassificationEncoderTests : FolderTest
{
    private static readonly ModelConfig Bert = TinyClassifiers.Bert with
    {
        Classifier = new ClassifierConfig { Kind = ClassifierKind.Sequence, Labels = ["bad", "good"] },
    };

    private static readonly ModelConfig Number = Bert with { Classifier = TinyClassifiers.Number };

    private static readonly ModelConfig Words = Bert with
    {
        Classifier = TinyClassifiers.Classes(3, ClassifierKind.Tokens),
    };

    // Ids of [CLS] and [SEP] are 2 and 3; a is 4, b is 5, ##c is 6.
    [TestCase("""{"text":"a bc","label":"good"}""", new[] { 2, 4, 5, 6, 3 }, 0, 1)]
    [TestCase("""{"sentence":"a","label":0}""", new[] { 2, 4, 3 }, 0, 0)]
    [TestCase("""{"text":"a","text_pair":"b","label":1}""", new[] { 2, 4, 3, 5, 3 }, 3, 1)]
    [TestCase("""{"premise":"a","hypothesis":"b","label":1}""", new[] { 2, 4, 3, 5, 3 }, 3, 1)]
    [TestCase("""{"question":"a","sentence":"b","label":1}""", new[] { 2, 4, 3, 5, 3 }, 3, 1)]
    public void ATextHasItsLabelAtTheFirstToken(string json, int[] tokens, int second, int label)
    {
        EncodedRecord record = Encode(json, Bert);
        Assert.Multiple(() =>
        {
            Assert.That(record.Tokens, Is.EqualTo(tokens));
            Assert.That(record.SecondText, Is.EqualTo(second));
            Assert.That(record.Labels, Is.EqualTo(new[] { new TokenLabel(0, label) }));
            Assert.That((record.LossTokens, record.Cut, record.GivesNumber), Is.EqualTo((1, false, false)));
        });
    }

    [Test]
    public void TheLongerTextIsCutFirst()
    {
        EncodedRecord record = Encode("""{"text":"a a a a","text_pair":"b b","label":1}""", Bert, 6);
        Assert.That(record.Tokens, Is.EqualTo(new[] { 2, 4, 4, 3, 5, 3 }));
        Assert.That(record.Cut, Is.True);
        Assert.That(Encode("""{"text":"a bc bc","label":1}""", Bert, 4).Tokens, Is.EqualTo(new[] { 2, 4, 5, 3 }));
    }

    [Test]
    public void ADecoderHasItsLabelAtTheLastToken() =>
        Assert.That(
            Encode("""{"text":"a bc","label":1}""", TinyClassifiers.Llama).Labels,
            Is.EqualTo(new[] { new TokenLabel(4, 1) })
        );

    [Test]
    public void ANumberIsWhatTheRecordSays()
    {
        EncodedRecord record = Encode("""{"text":"a","label":-2.5}""", Number);
        Assert.That(record.Labels, Is.EqualTo(new[] { new TokenLabel(0, 0, -2.5f) }));
        Assert.That(record.GivesNumber, Is.True);
    }

    [Test]
    public void EachWordHasItsLabelAtItsFirstToken()
    {
        EncodedRecord record = Encode("""{"tokens":["a","bc","b"],"labels":[0,"L2",1]}""", Words);
        Assert.That(record.Tokens, Is.EqualTo(new[] { 2, 4, 5, 6, 5, 3 }));
        Assert.That(
            record.Labels,
            Is.EqualTo(new[] { new TokenLabel(1, 0), new TokenLabel(2, 2), new TokenLabel(4, 1) })
        );
        EncodedRecord cut = Encode("""{"tokens":["a","bc","b"],"labels":[0,2,1]}""", Words, 4);
        Assert.That(cut.Tokens, Is.EqualTo(new[] { 2, 4, 3 }));
        Assert.That(cut.Cut, Is.True);
    }

    [TestCase("""{"text":"a"}""", "label missing or null, expected text and label")]
    [TestCase("""{"label":1}""", "text missing or null, expected text and label")]
    [TestCase("""{"text":"a","label":2}""", "label 2, expected 0 to 1 or one of 'bad', 'good'")]
    [TestCase("""{"text":"a","label":0.5}""", "label 0.5, expected 0 to 1 or one of 'bad', 'good'")]
    [TestCase("""{"text":"a","label":"fair"}""", "label 'fair', expected 0 to 1 or one of 'bad', 'good'")]
    [TestCase("""{"text":"a","label":[1]}""", "label has '[1]', expected the name of a class or a number")]
    [TestCase("""{"tokens":["a"],"labels":[1]}""", "tokens with labels, expected text and label")]
    [TestCase("""{"tokens":["a"],"labels":[1,2]}""", "1 tokens, expected as many labels, not 2")]
    [TestCase("""{"tokens":["a"]}""", "1 tokens, expected as many labels, not 0")]
    public void WhatIsNoneNamesItsLine(string json, string says) =>
        Assert.That(
            () => Encode($"\n{json}", Bert),
            Throws.TypeOf<InputException>().With.Message.StartsWith($"{folder.File("d.jsonl")}, line 2: {says}")
        );

    [Test]
    public void OtherHeadsRefuseOtherRecords()
    {
        Assert.That(
            () => Encode("""{"text":"a","label":1}""", Words),
            Throws.TypeOf<InputException>().With.Message.Contains("a text with a label, expected tokens and labels")
        );
        Assert.That(
            () => Encode("""{"text":"a","label":"good"}""", Number),
            Throws.TypeOf<InputException>().With.Message.Contains("label 'good', expected the number")
        );
    }

    private EncodedRecord Encode(string json, ModelConfig model, int length = 32)
    {
        BpeTokenizer tokenizer = TokenizerFiles.Load(
            folder,
            TokenizerFiles.WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##c"])
        );
        string path = folder.Write("d.jsonl", json);
        return ClassificationEncoder.Encode(
            RecordReader.Load(path, RecordFormats.Find("classification"))[0],
            tokenizer,
            model,
            length
        );
    }
}
