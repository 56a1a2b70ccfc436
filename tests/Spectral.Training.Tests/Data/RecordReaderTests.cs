using System.Text;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Data;

public sealed class RecordReaderTests : FolderTest
{
    [Test]
    public void RecordsComeInOrderWithTheirLines()
    {
        string path = folder.Write(
            "d.jsonl",
            "\uFEFF{\"prompt\":\"a\",\"completion\":\"b\",\"other\":[1]}\r\n\n \t\n{\"text\":\"\\u00e9 "
                + "\\ud83d\\ude00\"}\n{\"prompt\":\"\",\"completion\":\"\",\"text\":null}"
        );

        IReadOnlyList<TrainingRecord> records = RecordReader.Load(path);

        Assert.That(
            records,
            Is.EqualTo(
                new[]
                {
                    new TrainingRecord("a", "b", null, $"{path}, line 1"),
                    new TrainingRecord(null, null, "é 😀", $"{path}, line 4"),
                    new TrainingRecord("", "", null, $"{path}, line 5"),
                }
            )
        );
    }

    [Test]
    public void LinesLongerThanTheBufferAreReadWhole()
    {
        string[] texts = [new string('a', 200_000), "b", new string('c', 65_536 - 12), new string('d', 70_000)];
        string path = folder.Write("d.jsonl", string.Concat(texts.Select(text => $"{{\"text\":\"{text}\"}}\n")));
        Assert.That(RecordReader.Load(path).Select(record => record.Text), Is.EqualTo(texts));
    }

    [TestCase("", "no records")]
    [TestCase("\n\n", "no records")]
    [TestCase("not json", "line 1: not valid JSON")]
    [TestCase("{\"text\":\"a\"}\n{\"text\":", "line 2: not valid JSON")]
    [TestCase("{\"text\":\"a\"}\n\n[1]", "line 3: the top level is an array of 1, expected an object")]
    [TestCase("{\"text\":\"a\"} {}", "line 1: not valid JSON")]
    [TestCase("{\"prompt\":\"a\"}", "line 1: completion missing or null")]
    [TestCase("{\"completion\":\"a\"}", "line 1: prompt missing or null")]
    [TestCase("{\"prompt\":\"a\",\"completion\":null}", "line 1: completion missing or null")]
    [TestCase("{}", "line 1: keys of no known format, expected those of one: instruction and output")]
    [TestCase("{\"text\":7}", "line 1: text is 7, expected a string")]
    [TestCase("{\"text\":\"a\",\"prompt\":\"b\"}", "one or the other")]
    [TestCase("{\"messages\":[]}", "line 1: no messages, expected a list")]
    [TestCase("{\"messages\":[1]}", "line 1: messages[0] is no object")]
    [TestCase("{\"messages\":[{\"content\":\"a\"}]}", "line 1: messages[0] has no role, expected role and content")]
    [TestCase("{\"messages\":[{\"role\":\"user\"}]}", "line 1: messages[0] has no content, expected role and content")]
    [TestCase(
        "{\"messages\":[{\"role\":\"user\",\"content\":7}]}",
        "line 1: messages[0] has a content of another type"
    )]
    [TestCase("{\"messages\":[{\"role\":5,\"content\":\"a\"}]}", "line 1: messages[0] has a role of another type")]
    [TestCase("{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[]}]}", "line 1: messages[0] has no content")]
    [TestCase(
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":\"x\"}]}",
        "line 1: messages[0] has tool_calls of another type"
    )]
    [TestCase("{\"text\":\"\\ud800\"}", "surrogate")]
    [TestCase("{\"text\":\"a\",\"text\":\"b\"}", "line 1: not valid JSON")]
    public void FaultyFilesNameTheLine(string text, string says)
    {
        string path = folder.Write("d.jsonl", text);
        Assert.That(
            () => RecordReader.Load(path),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path).And.Message.Contains(says)
        );
    }

    [Test]
    public void ToolsMayBeNestedDeeplyButNotForEver([Values(40, 250)] int depth)
    {
        string tools = string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth);
        string path = folder.Write(
            "deep.jsonl",
            $$"""{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[{{tools}}]}"""
        );
        if (depth < 200)
        {
            Assert.That(RecordReader.Load(path), Has.Count.EqualTo(1));
        }
        else
        {
            Assert.That(
                () => RecordReader.Load(path),
                Throws.TypeOf<InputException>().With.Message.Contains("line 1: nested more than 200 levels deep")
            );
        }
    }

    [Test]
    public void InvalidUtf8NamesLineAndByte()
    {
        string path = folder.Write(
            "d.jsonl",
            [.. Encoding.UTF8.GetBytes("{\"text\":\"a\"}\n{\"text\":\"b"), 0xFF, .. "\"}"u8]
        );
        Assert.That(
            () => RecordReader.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("line 2: not UTF-8 at byte 10")
        );
    }

    [Test]
    public void AMissingFileIsNamed() =>
        Assert.That(
            () => RecordReader.Load(folder.File("none")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file")
        );
}
