using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>spectral eval</c> and <c>generate</c> with several adapters; records name theirs.</summary>
public sealed class AdapterSetCommandTests : WorkFolder
{
    private static readonly string Base = Path.Combine(Repository.Root, "samples", "base-model");
    private static readonly string[] Lines =
    [
        .. File.ReadLines(Path.Combine(Repository.Root, "samples", "train.jsonl")).Take(40),
    ];

    [SetUp]
    public void TuneThree()
    {
        File.WriteAllLines(At("train.jsonl"), Lines);
        Tune("french", "lora", 5e-2);
        Tune("legal", "ia3", 2e-1);
        Tune("soft", "prefix-tuning", 5e-2);
    }

    [Test]
    public void EachRecordIsScoredWithTheAdapterThatItNames()
    {
        string?[] names = ["legal", null, "french", "french", "legal", "soft", null, "french", "soft", "legal", "soft"];
        Write("mixed", names);
        string[] three = ["--adapter", At("french"), "--adapter", At("legal"), "--adapter", At("soft")];
        JsonElement found = Run("eval", "mixed", [.. three, "--batch", "4", "--json"]).Json;
        double sum = 0;
        long tokens = 0;
        JsonElement[] parts = [.. found.GetProperty("adapters").EnumerateArray()];
        Assert.That(
            parts.Select(part => part.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "french", "legal", "soft", null })
        );
        foreach (JsonElement part in parts)
        {
            string? name = part.GetProperty("name").GetString();
            Write("own", names, name);
            JsonElement alone = Run(
                "eval",
                "own",
                [.. name is null ? [] : (string[])["--adapter", At(name)], "--json"]
            ).Json;
            double loss = alone.GetProperty("loss").GetDouble();
            Assert.That(part.GetProperty("loss").GetDouble(), Is.EqualTo(loss).Within(1e-6 * loss), name);
            Assert.That(part.GetProperty("records").GetInt32(), Is.EqualTo(names.Count(own => own == name)));
            Assert.That(
                part.GetProperty("exact_match").GetDouble(),
                Is.EqualTo(alone.GetProperty("exact_match").GetDouble()).Within(1e-12)
            );
            Assert.That(part.TryGetProperty("alone", out JsonElement why), Is.EqualTo(name == "soft"));
            if (name == "soft")
                Assert.That(why.GetString(), Does.Contain("virtual tokens"));
            sum += loss * alone.GetProperty("tokens").GetInt64();
            tokens += alone.GetProperty("tokens").GetInt64();
        }
        Assert.That(found.GetProperty("tokens").GetInt64(), Is.EqualTo(tokens));
        Assert.That(found.GetProperty("records").GetInt32(), Is.EqualTo(names.Length));
        Assert.That(found.GetProperty("loss").GetDouble(), Is.EqualTo(sum / tokens).Within(1e-6));
        Assert.That(
            parts.Select(part => part.GetProperty("loss").GetDouble()).Distinct().Count(),
            Is.EqualTo(4),
            "all four differ"
        );
        string table = Run("eval", "mixed", three).Output;
        Assert.That(table, Does.Match(@"french +3 +\d").And.Match(@"soft +3 +\d").And.Match(@"\(base\) +2 +\d"));

        // One adapter with a name is a set too; without one it is for all records.
        Write("two", ["law", null]);
        string[] named = ["--adapter", $"law={At("legal")}", "--json"];
        Assert.That(Run("eval", "two", named).Json.GetProperty("adapters").GetArrayLength(), Is.EqualTo(2));
        Assert.That(
            Run("eval", "two", ["--adapter", At("legal"), "--json"]).Json.TryGetProperty("adapters", out _),
            Is.False
        );
    }

    [Test]
    public void EachPromptIsContinuedByTheAdapterThatItNames()
    {
        string?[] names = ["legal", null, "f", "f", "soft", "legal", "soft"];
        Write("mixed", names);
        string[] three = ["--adapter", $"f={At("french")}", "--adapter", At("legal"), "--adapter", At("soft")];
        string[] how = ["--max-tokens", "6"];
        JsonElement[] found =
        [
            .. Run("generate", "mixed", [.. three, .. how, "--batch", "3", "--json"])
                .Json.GetProperty("records")
                .EnumerateArray(),
        ];
        Assert.That(found.Select(one => one.GetProperty("adapter").GetString()), Is.EqualTo(names));
        for (int i = 0; i < names.Length; i++)
        {
            string[] adapter = names[i] is { } name ? ["--adapter", At(name == "f" ? "french" : name)] : [];
            Assert.That(Alone(i, adapter), Is.EqualTo(found[i].GetProperty("text").GetString()), $"record {i}");
        }
        Assert.That(
            Run("generate", "mixed", [.. three, .. how]).Output,
            Does.Contain($"1 (legal): {found[0].GetProperty("text").GetString()}").And.Contain("\n2 (base): ")
        );

        // One prompt is continued by each.
        JsonElement[] each =
        [
            .. CommandLine
                .Run([.. Start("generate"), .. three, .. how, "--prompt", Prompt(3), "--json"])
                .Succeeded()
                .Json.GetProperty("records")
                .EnumerateArray(),
        ];
        Assert.That(
            each.Select(one => one.GetProperty("adapter").GetString()),
            Is.EqualTo(new[] { "f", "legal", "soft" })
        );
        Assert.That(each[0].GetProperty("text").GetString(), Is.EqualTo(Alone(3, ["--adapter", At("french")])));

        string Alone(int record, string[] adapter) =>
            CommandLine
                .Run([.. Start("generate"), .. adapter, .. how, "--prompt", Prompt(record), "--json"])
                .Succeeded()
                .Json.GetProperty("text")
                .GetString()!;
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        Write("mixed", ["legal", "nobody"]);
        string[] two = ["--adapter", At("french"), "--adapter", At("legal")];
        string[] mixed = ["--data", At("mixed.jsonl")];
        foreach (string command in (string[])["eval", "generate"])
        {
            Refused(
                [.. Start(command), .. two, .. mixed],
                "mixed.jsonl, line 2: adapter 'nobody', expected one of 'french', 'legal' (--adapter), or none"
            );
            Refused(
                [.. Start(command), .. two, "--adapter", $"french={At("legal")}", .. mixed],
                "two adapters are called 'french'"
            );
            Refused([.. Start(command), .. two, "--adapter", At("none"), .. mixed], At("none"));
            Refused([command, "--model", Model, "--device", "cpu", .. two, .. mixed], At("french"), "another model");
        }
        File.WriteAllText(At("odd.jsonl"), """{"prompt": "a", "completion": "b", "adapter": 3}""");
        Refused([.. Start("eval"), .. two, "--data", At("odd.jsonl")], "line 1: adapter '3'");
        File.WriteAllText(At("text.jsonl"), """{"text": "a"}""");
        Refused([.. Start("generate"), .. two, "--data", At("text.jsonl")], "line 1: no prompt");
        Refused([.. Start("generate"), .. two, .. mixed, "--prompt", "a"], "expected one of --prompt TEXT");
        Refused([.. Start("generate"), "--batch", "2", "--prompt", "a"], "--batch: expected --data");
        File.WriteAllText(At("pair.jsonl"), """{"prompt": "a", "chosen": "b", "rejected": "c"}""");
        Refused(
            [.. Start("eval"), .. two, "--data", At("pair.jsonl"), "--loss", "dpo"],
            "several adapters, expected one with --loss dpo"
        );
    }

    private void Tune(string name, string method, double rate) =>
        CommandLine
            .Run(
                Finetune([
                    .. (string[])["--model", Base, "--data", At("train.jsonl"), "--out", At(name), "--adapter", method],
                    .. (string[])["--steps", "3", "--batch", "8", "--lr", $"{rate}"],
                ])
            )
            .Succeeded();

    private static string[] Start(string command) => [command, "--model", Base, "--device", "cpu"];

    private Outcome Run(string command, string data, string[] more) =>
        CommandLine.Run([.. Start(command), "--data", At($"{data}.jsonl"), .. more]).Succeeded();

    private static string Prompt(int record) => (string)JsonNode.Parse(Lines[record])!["prompt"]!;

    /// <summary>Writes records that name adapters: all, or those that name one of them.</summary>
    private void Write(string file, string?[] names, string? only = "") =>
        File.WriteAllLines(
            At($"{file}.jsonl"),
            names
                .Select((name, i) => (name, i))
                .Where(record => only?.Length == 0 || record.name == only)
                .Select(record =>
                {
                    JsonObject json = JsonNode.Parse(Lines[record.i])!.AsObject();
                    if (record.name is not null)
                        json["adapter"] = record.name;
                    return json.ToJsonString();
                })
        );
}
