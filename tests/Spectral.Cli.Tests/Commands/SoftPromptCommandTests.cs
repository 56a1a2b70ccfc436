using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests soft prompts end to end: trained, read by what takes them, refused by other commands.</summary>
public sealed class SoftPromptCommandTests : WorkFolder
{
    [TestCase("prompt-tuning", "init=vocab", "PROMPT_TUNING", 160)]
    [TestCase("p-tuning", "encoder-hidden=16", "P_TUNING", 1504)]
    [TestCase("prefix-tuning", "init=zero", "PREFIX_TUNING", 320)]
    public void ItIsTrainedSavedEvaluatedAndTrainedOn(string method, string setting, string type, int trained)
    {
        string[] own = ["--adapter", method, "--set", "virtual-tokens=5", "--set", setting];
        JsonElement result = CommandLine
            .Run(Finetune([.. own, "--steps", "20", "--lr", "0.05", "--eval", Data, "--json"]))
            .Succeeded()
            .Json;
        Assert.That(result.GetProperty("trainable_parameters").GetInt32(), Is.EqualTo(trained));
        double loss = result.GetProperty("eval_loss").GetDouble();
        Assert.That(loss, Is.LessThan(0.99 * result.GetProperty("eval_loss_before").GetDouble()));
        JsonElement config = JsonSerializer.Deserialize<JsonElement>(
            File.ReadAllText(Path.Combine(Out, "adapter_config.json"))
        );
        Assert.That(config.GetProperty("peft_type").GetString(), Is.EqualTo(type));
        Assert.That(config.GetProperty("num_virtual_tokens").GetInt32(), Is.EqualTo(5));

        string[] adapter = ["--model", Model, "--adapter", Out, "--device", "cpu", "--json"];
        JsonElement scored = CommandLine.Run(["eval", .. adapter, "--data", Data]).Succeeded().Json;
        Assert.That(scored.GetProperty("loss").GetDouble(), Is.EqualTo(loss).Within(1e-6));
        CommandLine.Run(["generate", .. adapter, "--prompt", "ab", "--max-tokens", "6"]).Succeeded();

        // A lower rate than before, from where the first run ended.
        string[] next = Finetune("--init-adapter", Out, "--out", At("next"), "--eval", Data, "--lr", "1e-3", "--json");
        double before = CommandLine.Run(next).Succeeded().Json.GetProperty("eval_loss_before").GetDouble();
        Assert.That(before, Is.EqualTo(loss).Within(1e-6));

        string[][] refused =
        [
            ["merge", "--model", Model, "--adapter", Out, "--out", At("merged"), "--device", "cpu"],
            ["export", "--model", Model, "--adapter", Out, "--out", At("exported"), "--device", "cpu"],
            ["analyze", "--base", Model, "--adapter", Out, "--out", At("spectra"), "--device", "cpu"],
        ];
        foreach (string[] command in refused)
        {
            Refused(
                command,
                $"a soft prompt ({method}), which is no change of weights",
                "expected an adapter of layers"
            );
        }
    }

    [Test]
    public void AStartFromATextIsThatOfTheTextItself()
    {
        string[] text = ["--adapter", "prompt-tuning", "--set", "init=text", "--set", "virtual-tokens=4"];
        JsonElement prompted = CommandLine
            .Run(Finetune([.. text, "--prompt-text", "abcd", "--steps", "1", "--lr", "0", "--json"]))
            .Succeeded()
            .Json;
        Assert.That(prompted.GetProperty("steps").GetInt32(), Is.EqualTo(1));
        string[] generate =
        [
            "generate",
            "--model",
            Model,
            "--max-tokens",
            "8",
            "--device",
            "cpu",
            "--json",
            "--prompt",
        ];
        string Tokens(params string[] more) =>
            CommandLine.Run([.. generate, .. more]).Succeeded().Json.GetProperty("text").GetString()!;
        Assert.That(Tokens("xy", "--adapter", Out), Is.EqualTo(Tokens("abcdxy")));
    }

    [Test]
    public void OptionsThatAPromptDoesNotReadAreRefused()
    {
        string[] prompt = ["--adapter", "prompt-tuning"];
        Refused(
            Finetune([.. prompt, "--target", "q_proj"]),
            "target modules q_proj: prompt-tuning trains virtual tokens and changes no layer"
        );
        Refused(Finetune([.. prompt, "--rank", "4"]), "--rank \"4\": prompt-tuning has no rank");
        Refused(
            Finetune([.. prompt, "--train-also", "norm"]),
            "norm: prompt-tuning trains virtual tokens",
            "expected none"
        );
        Refused(Finetune([.. prompt, "--set", "virtual-tokens=0"]), "virtual-tokens=0: expected a whole number from 1");
        Refused(Finetune([.. prompt, "--set", "virtual-tokens=255"]), "255 virtual tokens leave 1 of the model's 256");
        Refused(Finetune([.. prompt, "--set", "init=text"]), "init=text: expected --prompt-text");
        Refused(Finetune([.. prompt, "--prompt-text", "a"]), "init=random: it reads no text; expected text");
        Refused(Finetune("--adapter", "lora", "--prompt-text", "a"), "--prompt-text \"a\": lora starts from no text");
    }

    [Test]
    public void RecordsAreCutToWhatTheVirtualTokensLeave()
    {
        File.WriteAllText(Data, JsonSerializer.Serialize(new { text = new string('a', 250) }) + "\n");
        string[] prompt = ["--adapter", "prefix-tuning", "--set", "virtual-tokens=20"];
        Outcome outcome = CommandLine.Run(Finetune([.. prompt, "--max-length", "256"])).Succeeded();
        Assert.That(outcome.Error, Does.Contain("1 of 1 records are longer than 236 tokens and were cut"));
    }

    [Test]
    public void TheyStandInTheListAndInAComparison()
    {
        JsonElement json = CommandLine.Run("methods", "--model", Model, "--json").Succeeded().Json;
        var methods = json.GetProperty("methods")
            .EnumerateArray()
            .ToDictionary(m => m.GetProperty("name").GetString()!);
        Assert.That(methods["prompt-tuning"].GetProperty("trainable_parameters").GetInt32(), Is.EqualTo(20 * 32));
        Assert.That(
            methods["prefix-tuning"].GetProperty("trainable_parameters").GetInt32(),
            Is.EqualTo(20 * 2 * 2 * 16)
        );
        Assert.That(methods["p-tuning"].GetProperty("mergeable").GetBoolean(), Is.False);
        string[] compare = ["compare", "--model", Model, "--data", Data, "--eval", Data, "--out", Out];
        CommandLine
            .Run([
                .. compare,
                "--methods",
                "lora,prompt-tuning,prefix-tuning",
                "--steps",
                "2",
                "--seeds",
                "1",
                "--device",
                "cpu",
            ])
            .Succeeded();
        Assert.That(File.ReadAllLines(Path.Combine(Out, "runs.jsonl")), Has.Length.EqualTo(3));
    }
}
