using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Data;

/// <summary>Checks single answers with a label: texts and conversations, and what is none.</summary>
public sealed class LabelledFormatTests : FolderTest
{
    private const string User = """{"role":"user","content":"q"}""";
    private const string Answer = """{"role":"assistant","content":"yes"}""";

    [Test]
    public void TextsHaveTheirLabel([Values] bool label, [Values("auto", "labelled")] string format)
    {
        string json = label ? "true" : "false";
        TrainingRecord record = Read($$"""{"prompt":"P","completion":"C","label":{{json}}}""", format);
        Assert.Multiple(() =>
        {
            Assert.That((record.Prompt, record.Completion), Is.EqualTo(("P", "C")));
            Assert.That(record.Label, Is.EqualTo(label));
            Assert.That(record.Rejected, Is.Null);
        });
    }

    [Test]
    public void ConversationsAreJoined()
    {
        TrainingRecord record = Read(
            $$"""{"prompt":[{{User}},{{Answer}},{{User}}],"completion":[{{Answer}}],"label":false,"tools":[1]}""",
            "auto"
        );
        Assert.That(record.Chat!.Count, Is.EqualTo(4));
        Assert.That(record.PromptMessages, Is.EqualTo(3));
        Assert.That(record.Label, Is.False);
    }

    /// <summary>A label of another kind, as of a class, belongs to something else.</summary>
    [TestCase("""{"prompt":"P","completion":"C","label":3}""")]
    [TestCase("""{"prompt":"P","completion":"C","label":"good"}""")]
    [TestCase("""{"prompt":"P","completion":"C"}""")]
    public void OtherRecordsKeepTheirFormat(string json) => Assert.That(Read(json, "auto").Label, Is.Null);

    [TestCase("""{"prompt":"P","completion":"C"}""", "label missing or null, expected true or false")]
    [TestCase("""{"prompt":"P","completion":"C","label":1}""", "label is 1, expected")]
    [TestCase("""{"completion":"C","label":true}""", "prompt missing or null, expected prompt, completion and label")]
    [TestCase("""{"prompt":"P","label":true}""", "completion missing or null, expected prompt, completion and label")]
    [TestCase(
        $$"""{"completion":[{{Answer}}],"label":true}""",
        "completion is a list and prompt is none with messages"
    )]
    [TestCase($$"""{"prompt":[{{User}}],"completion":[],"label":true}""", "completion is empty, expected the messages")]
    public void WhatIsNoneNamesItsLine(string record, string says) =>
        Assert.That(
            () => Read($"\n{record}", "labelled"),
            Throws.TypeOf<InputException>().With.Message.StartsWith($"{folder.File("d.jsonl")}, line 2: {says}")
        );

    private TrainingRecord Read(string records, string format)
    {
        string path = folder.Write("d.jsonl", records);
        return RecordReader.Load(path, format == "auto" ? null : RecordFormats.Find(format))[0];
    }
}
