using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// <c>spectral merge --method auto-flexswitch</c> on the sample model and two tasks, and the commands that open the
/// result.
/// </summary>
public sealed class ExpertCommandTests : WorkFolder
{
    private const string Badge = "badge";
    private const string Mirror = "mirror";
    private static readonly string Base = Path.Combine(Repository.Root, "samples", "base-model");

    private string Experts => At("experts");

    [SetUp]
    public void WriteTasks()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "samples", "train.jsonl"));
        foreach (string task in (string[])[Badge, Mirror])
        {
            File.WriteAllLines(At($"{task}-train.jsonl"), lines.Take(96).Select(line => Record(task, line)));
            File.WriteAllLines(At($"{task}.jsonl"), lines.Skip(96).Take(9).Select(line => Record(task, line)));
        }
        File.WriteAllLines(
            At("mixed.jsonl"),
            [
                .. File.ReadLines(At("badge.jsonl")).Take(4),
                .. File.ReadLines(At("mirror.jsonl")),
                .. File.ReadLines(At("badge.jsonl")).Skip(4).Take(3),
            ]
        );
    }

    [Test]
    public void EachRecordOfAMixedFileRunsInTheExpertOfItsTask()
    {
        Tune(Badge, steps: 12);
        Tune(Mirror, steps: 12);
        JsonElement made = CommandLine.Run([.. Merge(), "--json"]).Succeeded().Json;
        Assert.That(made.GetProperty("method").GetString(), Is.EqualTo("auto-flexswitch"));
        Assert.That(made.GetProperty("out").GetString(), Is.EqualTo(Experts));
        JsonElement found = CommandLine.Run(Evaluate(Experts, "mixed", "--json")).Succeeded().Json;
        Assert.That(found.GetProperty("records").GetInt32(), Is.EqualTo(16));
        JsonElement[] experts = [.. found.GetProperty("experts").EnumerateArray()];
        Assert.That(
            experts.Select(one => one.GetProperty("name").GetString()),
            Is.EqualTo(new[] { At(Badge), At(Mirror) })
        );
        Assert.That(experts.Select(one => one.GetProperty("records").GetInt32()), Is.EqualTo(new[] { 7, 9 }));
        double own = Loss(Path.Combine(Experts, "expert-2"), Mirror);
        Assert.That(experts[1].GetProperty("loss").GetDouble(), Is.EqualTo(own).Within(1e-6));
        Assert.That(
            own,
            Is.LessThan(Loss(Path.Combine(Experts, "expert-1"), Mirror)),
            "the experts are good at their tasks"
        );
        string table = CommandLine.Run(Evaluate(Experts, Badge)).Succeeded().Output;
        Assert.That(table, Does.Match($@"{Badge} +9 +\d").And.Match($@"{Mirror} +0 *\n"));

        string[] generate = ["generate", "--model", Base, "--device", "cpu", "--max-tokens", "3", "--adapter"];
        JsonElement text = CommandLine
            .Run([.. generate, Experts, "--prompt", "mirror: pure gun ->", "--json"])
            .Succeeded()
            .Json;
        Assert.That(text.GetProperty("expert").GetString(), Is.EqualTo(At(Mirror)));
        string expert = Path.Combine(Experts, "expert-2");
        Assert.That(
            CommandLine.Run([.. generate, expert, "--prompt", "mirror: pure gun ->"]).Succeeded().Output.TrimEnd('\n'),
            Is.EqualTo(text.GetProperty("text").GetString())
        );
    }

    [Test]
    public void MergeEvaluationMeasuresTheExpertsTogether()
    {
        Tune(Badge);
        Tune(Mirror);
        string[] tasks = ["--eval", $"badge={At("badge.jsonl")}", "--eval", $"mirror={At("mirror.jsonl")}"];
        JsonElement score = CommandLine
            .Run([.. Merge(), .. tasks, "--json"])
            .Succeeded()
            .Json.GetProperty("evaluation")
            .GetProperty("methods")[0];
        JsonElement[] losses = [.. score.GetProperty("tasks").EnumerateArray()];
        Assert.That(losses[0].GetProperty("loss").GetDouble(), Is.EqualTo(Loss(Experts, Badge)).Within(1e-6));
        Assert.That(losses[1].GetProperty("loss").GetDouble(), Is.EqualTo(Loss(Experts, Mirror)).Within(1e-6));
    }

    [Test]
    public void ANewFolderOfExpertsReplacesAnOldOne()
    {
        Tune(Badge);
        CommandLine.Run(Finetune("--model", Base, "--data", At("mirror-train.jsonl"), "--out", Experts)).Succeeded();
        CommandLine.Run([.. Merge(Badge), "--overwrite"]).Succeeded();
        CommandLine.Run([.. Merge(Badge), "--overwrite", "--density", "0.01"]).Succeeded();
        double loss = Loss(Path.Combine(Experts, "expert-1"), Badge);
        Assert.That(Loss(Experts, Badge), Is.EqualTo(loss).Within(1e-6));
        Assert.That(Directory.GetFileSystemEntries(Experts, ".*"), Is.Empty);
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        Tune(Badge);
        Refused([.. Merge(Badge), "--set", "neighbours=10"], "neighbours=10", "9 records in all");
        Refused([.. Merge(Badge), "--layers", "0"], "auto-flexswitch keeps whole inputs");
        Refused([.. Merge(Badge), "--as-adapter", "--rank", "2"], "auto-flexswitch keeps the inputs apart");
        CommandLine.Run(Merge(Badge)).Succeeded();
        string[] merge = ["merge", "--model", Base, "--adapter", Experts, "--out", At("merged")];
        Refused(merge, "holds several experts", "expert-1");
        Refused(
            ["eval", "--model", Model, "--adapter", Experts, "--data", Data],
            Path.Combine(Experts, "expert-1"),
            "another model"
        );
        File.WriteAllText(Path.Combine(Experts, "expert-1", "compression.json"), "{");
        Refused(Evaluate(Experts, Badge), "compression.json: not valid JSON");
        File.WriteAllText(Path.Combine(Experts, "experts.json"), "{");
        Refused(Evaluate(Experts, Badge), "experts.json: not valid JSON");
    }

    private void Tune(string task, int steps = 2) =>
        CommandLine
            .Run(
                Finetune([
                    .. (string[])["--model", Base, "--data", At($"{task}-train.jsonl"), "--out", At(task)],
                    .. (string[])["--steps", $"{steps}", "--batch", "8", "--rank", "4", "--lr", "1e-2"],
                ])
            )
            .Succeeded();

    private string[] Merge(params string[] tasks) =>
        [
            "merge",
            "--method",
            "auto-flexswitch",
            "--model",
            Base,
            .. (tasks.Length == 0 ? [Badge, Mirror] : tasks).SelectMany(task =>
                new[] { "--input", At(task), "--data", At($"{task}.jsonl") }
            ),
            "--set",
            "neighbours=5",
            "--out",
            Experts,
            "--device",
            "cpu",
        ];

    private string[] Evaluate(string adapter, string data, params string[] more) =>
        ["eval", "--model", Base, "--adapter", adapter, "--data", At($"{data}.jsonl"), "--device", "cpu", .. more];

    private double Loss(string adapter, string data) =>
        CommandLine.Run(Evaluate(adapter, data, "--json")).Succeeded().Json.GetProperty("loss").GetDouble();

    private static string Record(string task, string line)
    {
        string[] words = ((string)JsonNode.Parse(line)!["prompt"]!).Split(' ');
        (string first, string second) = (words[1], words[2]);
        string answer =
            task == Badge
                ? $"{new string([.. second.Reverse()]).ToUpperInvariant()}-{first[0]}"
                : $"{first}-{new string([.. first.Reverse()])}";
        return new JsonObject
        {
            ["prompt"] = $"{task}: {first} {second} ->",
            ["completion"] = " " + answer,
        }.ToJsonString();
    }
}
