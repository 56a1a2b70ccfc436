using System.Diagnostics;
using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

public sealed class ChatCommandTests : WorkFolder
{
    private const string Template =
        "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
        + "{{ raise_exception('unknown role ' ~ m.role) }}{% endif %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}"
        + "{% if add_generation_prompt %}a:{% endif %}";

    private const string Messages =
        """{"messages": [{"role": "user", "content": "12"}], "add_generation_prompt": true}""";

    private string Chat => At("chat.json");

    [SetUp]
    public void WriteTemplate()
    {
        File.WriteAllText(Path.Combine(Model, "chat_template.jinja"), Template);
        File.WriteAllText(Chat, Messages);
    }

    [Test]
    public void RenderPrintsTheText()
    {
        Outcome outcome = CommandLine.Run("render", "--model", Model, "--messages", Chat).Succeeded();
        Assert.That(outcome.Output, Is.EqualTo("u:12\na:\n"));
        JsonElement json = CommandLine.Run("render", "--model", Model, "--messages", Chat, "--json").Succeeded().Json;
        Assert.That(json.GetProperty("text").GetString(), Is.EqualTo("u:12\na:"));
    }

    [Test]
    public void WhatATemplateRefusesIsOneLine()
    {
        File.WriteAllText(Chat, """{"messages": [{"role": "tool", "content": "12"}]}""");
        Refused(
            ["render", "--model", Model, "--messages", Chat],
            "chat.json",
            "chat_template.jinja, line 1, column",
            "unknown role tool"
        );
        File.WriteAllText(Data, """{"messages": [{"role": "tool", "content": "12"}]}""");
        Refused(
            ["eval", "--model", Model, "--data", Data, "--device", "cpu"],
            "data.jsonl, line 1",
            "unknown role tool"
        );
        File.WriteAllText(
            Path.Combine(Model, "chat_template.jinja"),
            "{% for x in range(100000) %}{% for y in " + "range(100000) %}{% endfor %}{% endfor %}"
        );
        Refused(["render", "--model", Model, "--messages", Chat], "steps", "loop for ever");
    }

    [Test]
    public void GenerateAnswersMessagesAsItContinuesTheirText()
    {
        string[] common = ["--model", Model, "--max-tokens", "5", "--device", "cpu", "--json"];
        JsonElement answer = CommandLine.Run(["generate", "--messages", Chat, .. common]).Succeeded().Json;
        JsonElement text = CommandLine.Run(["generate", "--prompt", "u:12\na:", .. common]).Succeeded().Json;
        Assert.That(answer.GetProperty("tokens").GetRawText(), Is.EqualTo(text.GetProperty("tokens").GetRawText()));
        Refused(["generate", .. common], "expected one of --prompt TEXT, --messages FILE and --data FILE");
        Refused(["generate", "--messages", Chat, "--prompt", "a", .. common], "expected one of --prompt");
    }

    [Test]
    public void ChatRecordsTrainAndAreMeasured()
    {
        string record = """{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "23"}]}""";
        File.WriteAllText(Data, record + "\n" + record + "\n");
        Assert.That(Tokens("assistant"), Is.EqualTo(2 * 3), "two digits and the newline");
        Assert.That(Tokens("all"), Is.EqualTo(2 * ("u:1\na:23\n".Length - 1)));
        CommandLine.Run(Finetune("--train-on", "completion", "--steps", "1")).Succeeded();

        double Tokens(string trainOn) =>
            CommandLine
                .Run("eval", "--model", Model, "--data", Data, "--train-on", trainOn, "--device", "cpu", "--json")
                .Succeeded()
                .Json.GetProperty("tokens")
                .GetInt64();
    }

    [Test]
    public void ChatAnswersEachLineUntilTheInputEnds()
    {
        using Process process = CommandLine.Start([
            "chat",
            "--model",
            Model,
            "--max-tokens",
            "4",
            "--device",
            "cpu",
            "--system",
            "s",
            "--json",
        ]);
        process.StandardInput.Write("12\n34\n");
        process.StandardInput.Close();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero);
        using var document = JsonDocument.Parse(output);
        JsonElement messages = document.RootElement.GetProperty("messages");
        Assert.That(
            messages.EnumerateArray().Select(message => message.GetProperty("role").GetString()),
            Is.EqualTo(new[] { "system", "user", "assistant", "user", "assistant" })
        );
        Assert.That(messages[3].GetProperty("content").GetString(), Is.EqualTo("34"));
    }
}
