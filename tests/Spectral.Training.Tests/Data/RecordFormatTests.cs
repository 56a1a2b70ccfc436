using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Data;

/// <summary>Checks what each format makes of a record, and which one a record is known by.</summary>
public sealed class RecordFormatTests : FolderTest
{
    private const string Template =
        "{% for m in messages %}[{{ m.role }}{% if m.name is defined %} {{ m.name }}{% endif %}]{{ m.content }}"
        + "{% endfor %}{% if topic is defined %} on {{ topic }}{% endif %}";

    [TestCase("auto")]
    [TestCase("alpaca")]
    public void AlpacaHasTheTemplateOfStanford(string format)
    {
        IReadOnlyList<TrainingRecord> records = Read(
            """
            {"instruction":"Add.","input":"1 and 2","output":"3"}
            {"instruction":"Say hi.","input":"","output":"Hi!","history":[],"system":""}
            {"instruction":"Say ho.","output":"Ho!"}
            """,
            format
        );
        Assert.That(
            records.Select(record => (record.Prompt, record.Completion)),
            Is.EqualTo(
                new[]
                {
                    (
                        "Below is an instruction that describes a task, paired with an input that provides further "
                            + "context. Write a response that appropriately completes the request.\n\n"
                            + "### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:",
                        "3"
                    ),
                    (
                        "Below is an instruction that describes a task. Write a response that appropriately completes "
                            + "the request.\n\n### Instruction:\nSay hi.\n\n### Response:",
                        "Hi!"
                    ),
                    (
                        "Below is an instruction that describes a task. Write a response that appropriately completes "
                            + "the request.\n\n### Instruction:\nSay ho.\n\n### Response:",
                        "Ho!"
                    ),
                }
            )
        );
    }

    [TestCase("auto")]
    [TestCase("sharegpt")]
    public void ShareGptTurnsAreMessages(string format)
    {
        IReadOnlyList<TrainingRecord> records = Read(
            """
            {"conversations":[{"from":"system","value":"S"},{"from":"human","value":"A"},{"from":"gpt","value":"B"}]}
            {"system":"T","conversations":[{"from":"user","value":"A"},{"from":"observation","value":"O"},
            """.ReplaceLineEndings("\n").TrimEnd('\n')
                + """{"from":"assistant","value":"B","weight":1}],"topic":"x"}""",
            format
        );
        Assert.That(
            records.Select(Render),
            Is.EqualTo(new[] { "[system]S[user]A[assistant]B", "[system]T[user]A[tool]O[assistant]B on x" })
        );
    }

    [Test]
    public void AFormatThatIsNamedCountsWhateverElseARecordHas()
    {
        const string Record = """{"text":"T","prompt":"P","completion":"C","instruction":"I","output":"O"}""";
        Assert.Multiple(() =>
        {
            Assert.That(Read(Record, "text")[0].Text, Is.EqualTo("T"));
            Assert.That(Read(Record, "prompt-completion")[0].Completion, Is.EqualTo("C"));
            Assert.That(Read(Record, "alpaca")[0].Completion, Is.EqualTo("O"));
        });
    }

    [Test]
    public void MessagesCountBesideAPromptAndAText() =>
        Assert.That(
            Render(Read("""{"prompt":"P","text":"T","messages":[{"role":"user","content":"A"}]}""", "auto")[0]),
            Is.EqualTo("[user]A")
        );

    [Test]
    public void TheFormatsAreNamed() =>
        Assert.That(
            RecordFormats.All.Select(format => format.Name),
            Is.EqualTo(
                new[]
                {
                    "alpaca",
                    "classification",
                    "labelled",
                    "messages",
                    "multiple-choice",
                    "preference",
                    "prompt-completion",
                    "sharegpt",
                    "text",
                }
            )
        );

    [Test]
    public void TheDocumentHasARowForEachFormat()
    {
        string document = File.ReadAllText(Path.Combine(TestContext.CurrentContext.TestDirectory, "data.md"));
        foreach (RecordFormat format in RecordFormats.All)
            Assert.That(document, Does.Contain($"| `{format.Name}` | {format.Keys} |"));
        Assert.That(
            Read("""{"instruction":"{instruction}","input":"{input}","output":"{output}"}""", "alpaca")
                .Concat(Read("""{"instruction":"{instruction}","output":"{output}"}""", "alpaca"))
                .Select(record => document.ReplaceLineEndings("\n").Contains($"```text\n{record.Prompt}\n```")),
            Is.All.True
        );
    }

    [TestCase("auto", "{}", "keys of no known format, expected those of one: instruction and output")]
    [TestCase("auto", """{"text":"a","instruction":"b","output":"c"}""", "has keys of alpaca and text, expected one")]
    [TestCase("auto", """{"messages":[],"conversations":[]}""", "has keys of messages and sharegpt")]
    [TestCase("alpaca", """{"text":"a"}""", "instruction missing or null, expected instruction and output")]
    [TestCase("auto", """{"instruction":"a"}""", "output missing or null, expected instruction and output")]
    [TestCase("auto", """{"instruction":"a","output":7}""", "output is 7, expected a string")]
    [TestCase("auto", """{"instruction":"a","input":{},"output":"b"}""", "input is an object, expected a string")]
    [TestCase("alpaca", """{"instruction":"a","output":"b","history":[["c","d"]]}""", "history with something in it")]
    [TestCase("sharegpt", """{"messages":[]}""", "no conversations, expected a list")]
    [TestCase("auto", """{"conversations":[]}""", "no conversations, expected a list")]
    [TestCase("auto", """{"conversations":[1]}""", "conversations[0] is 1, expected an object")]
    [TestCase(
        "auto",
        """{"conversations":[{"from":"robot","value":"a"}]}""",
        "conversations[0].from is the string 'robot', expected one of human, user, gpt"
    )]
    [TestCase("auto", """{"conversations":[{"from":"gpt"}]}""", "conversations[0].value is missing, expected a string")]
    [TestCase("auto", """{"conversations":[{"value":"a"}]}""", "conversations[0].from is missing, expected a string")]
    [TestCase("text", """{"messages":[]}""", "text missing or null, expected text (text)")]
    public void ARecordThatDoesNotFitNamesItsLine(string format, string record, string says) =>
        Assert.That(
            () => Read($"\n{record}", format),
            Throws
                .TypeOf<InputException>()
                .With.Message.StartsWith($"{folder.File("d.jsonl")}, line 2: {says}")
                .And.Message.Contains("expected")
        );

    [Test]
    public void AnUnknownFormatIsNamedBesideTheKnown() =>
        Assert.That(
            () => RecordFormats.Find("dolly"),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("'dolly', known: alpaca, classification, labelled, messages")
        );

    private IReadOnlyList<TrainingRecord> Read(string text, string format) =>
        RecordReader.Load(folder.Write("d.jsonl", text), format == "auto" ? null : RecordFormats.Find(format));

    private string Render(TrainingRecord record)
    {
        folder.Write("chat_template.jinja", Template);
        return ChatFormat.Load(folder.Path).Render(record.Chat!).Text;
    }
}
