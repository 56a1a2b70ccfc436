using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Runs;

/// <summary>Tests the forms of a run's log, and that options on memory and on following change no bit of it.</summary>
public sealed class LogTests : WorkFolder
{
    private const int Steps = 6;

    private string[] Run(string output, params string[] more) =>
        Finetune([
            "--steps",
            $"{Steps}",
            "--save-every",
            "2",
            "--eval",
            Data,
            "--eval-every",
            "3",
            "--lr",
            "1e-2",
            "--out",
            output,
            .. more,
        ]);

    [TestCase("--checkpointing")]
    [TestCase("--offload-optimizer")]
    [TestCase("--serve")]
    [TestCase("--log", "csv,tensorboard")]
    public void NoBitDependsOnHowARunIsFollowed(params string[] options)
    {
        CommandLine.Run(Run(At("plain"))).Succeeded();
        CommandLine.Run(Run(At("other"), options)).Succeeded();
        Assert.That(RunFiles.Log(At("other")), Is.EqualTo(RunFiles.Log(At("plain"))));
        Assert.That(
            File.ReadAllBytes(At("other/adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(At("plain/adapter_model.safetensors")))
        );
    }

    /// <summary>A run without either option resumes with both.</summary>
    [Test]
    public void ResumingMayTurnThemOn()
    {
        CommandLine.Run(Run(At("whole"), "--schedule", "constant")).Succeeded();
        CommandLine.Run(Run(Out, "--schedule", "constant", "--steps", "2")).Succeeded();
        CommandLine
            .Run(Run(Out, "--schedule", "constant", "--resume", "--checkpointing", "--offload-optimizer"))
            .Succeeded();
        Assert.That(RunFiles.Log(Out), Is.EqualTo(RunFiles.Log(At("whole"))));
    }

    [Test]
    public void TheTableHasWhatTheLinesHave()
    {
        CommandLine.Run(Run(Out, "--log", "csv")).Succeeded();
        SameTable("0", "3", "6");
        Assert.That(Directory.Exists(Path.Combine(Out, "tensorboard")), Is.False);
    }

    [Test]
    public void AResumedRunHasOneTableAndAFurtherEventFile()
    {
        CommandLine
            .Run(Run(Out, "--schedule", "constant", "--log", "jsonl,csv,tensorboard", "--steps", "4"))
            .Succeeded();
        // Of a step that the checkpoint does not cover.
        File.AppendAllText(Path.Combine(Out, "train_log.csv"), "5,1,1,1,1,1,,\n");
        CommandLine.Run(Run(Out, "--schedule", "constant", "--log", "csv,tensorboard", "--resume")).Succeeded();
        SameTable("0", "3", "4", "6");
        Assert.That(Directory.GetFiles(Path.Combine(Out, "tensorboard")), Has.Length.EqualTo(2));
        CommandLine.Run(Run(Out, "--overwrite", "--log", "tensorboard")).Succeeded();
        Assert.That(File.Exists(Path.Combine(Out, "train_log.csv")), Is.False, "it is of another run");
        Assert.That(Directory.GetFiles(Path.Combine(Out, "tensorboard")), Has.Length.EqualTo(1));
    }

    [Test]
    public void ARunThatFailsLeavesNone()
    {
        CommandLine
            .Run(Run(Out, "--log", "csv,tensorboard", "--max-memory", "300000"))
            .Refused(1, "out of device memory");
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model" }));
    }

    private void SameTable(params string[] evaluations)
    {
        JsonNode[] lines =
        [
            .. File.ReadLines(Path.Combine(Out, "train_log.jsonl")).Select(line => JsonNode.Parse(line)!),
        ];
        string[][] rows = [.. File.ReadLines(Path.Combine(Out, "train_log.csv")).Select(line => line.Split(','))];
        string[] head = rows[0];
        string[][] steps = [.. rows[1..].Where(row => row[1].Length > 0)];
        Assert.That(steps, Has.Length.EqualTo(lines.Length));
        foreach ((JsonNode line, string[] row) in lines.Zip(steps))
        {
            foreach (string name in new[] { "step", "loss", "lr", "grad_norm", "tokens", "tokens_per_second" })
            {
                Assert.That(
                    double.Parse(row[Array.IndexOf(head, name)], CultureInfo.InvariantCulture),
                    Is.EqualTo((double)line[name]!),
                    $"{name} of step {line["step"]}"
                );
            }
        }

        Assert.That(rows[1..].Where(row => row[1].Length == 0).Select(row => row[0]), Is.EqualTo(evaluations));
        Assert.That(rows[1..].Select(row => int.Parse(row[0], CultureInfo.InvariantCulture)), Is.Ordered);
    }
}
