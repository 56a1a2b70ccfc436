using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Reads the formats and files that people have, by eval and finetune.</summary>
public sealed class DataCommandTests : WorkFolder
{
    private const string Template = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}";

    [Test]
    public void ShareGptIsMeasuredAsTheMessagesThatItMeans()
    {
        File.WriteAllText(Path.Combine(Model, "chat_template.jinja"), Template);
        string turns = Eval(
            """[{"conversations": [{"from": "human", "value": "12"}, {"from": "gpt", "value": "21"}]}]"""
        );
        string messages = Eval(
            """{"messages": [{"role": "user", "content": "12"}, {"role": "assistant", "content": "21"}]}"""
        );
        Assert.That(turns, Is.EqualTo(messages));
    }

    [Test]
    public void AFormatIsAskedForWhereKeysAreThoseOfSeveral()
    {
        const string Both = """{"instruction": "1", "output": "2", "text": "3"}""";
        File.WriteAllText(Data, Both);
        Refused(
            ["eval", "--model", Model, "--data", Data, "--device", "cpu"],
            "data.jsonl, line 1",
            "alpaca and text",
            "--format"
        );
        Assert.That(Eval(Both, "--format", "text"), Is.EqualTo(Eval("""{"text": "3"}""")));
        Assert.That(Eval(Both, "--format", "alpaca"), Is.EqualTo(Eval("""{"instruction": "1", "output": "2"}""")));
        CommandLine.Run(Finetune("--format", "alpaca", "--steps", "1")).Succeeded();
    }

    [Test]
    public void AFolderIsItsFiles()
    {
        string folder = Directory.CreateDirectory(At("data")).FullName;
        File.WriteAllText(Path.Combine(folder, "a.jsonl"), "{\"text\": \"12\"}\n");
        File.WriteAllText(Path.Combine(folder, "b.json"), "[{\"text\": \"34\"}]");
        JsonElement parts = CommandLine
            .Run("eval", "--model", Model, "--data", folder, "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(
            parts.GetProperty("loss").GetRawText(),
            Is.EqualTo(
                JsonDocument
                    .Parse(Eval("{\"text\": \"12\"}\n{\"text\": \"34\"}\n"))
                    .RootElement.GetProperty("loss")
                    .GetRawText()
            )
        );
        File.WriteAllText(Path.Combine(folder, "c.parquet"), "PAR1");
        Refused(["eval", "--model", Model, "--data", folder, "--device", "cpu"], "c.parquet", "no Parquet that can be");
    }

    [Test]
    public void AnalyzeHasNoUseForAFormatWithoutRecords() =>
        Refused(
            ["analyze", "--base", Model, "--tuned", Model, "--out", At("p.html"), "--format", "text"],
            "--format text",
            "expected --trace FILE or --forgetting FILE"
        );

    private string Eval(string data, params string[] more)
    {
        File.WriteAllText(Data, data);
        return CommandLine
            .Run(["eval", "--model", Model, "--data", Data, "--device", "cpu", "--json", .. more])
            .Succeeded()
            .Output;
    }
}
