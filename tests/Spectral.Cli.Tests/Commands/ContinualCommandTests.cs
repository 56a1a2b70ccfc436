using System.Diagnostics;
using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// Tests `continual`: each task is the run that `finetune` makes, scores are those of `eval`, and a killed run resumes.
/// </summary>
public sealed class ContinualCommandTests : WorkFolder
{
    private const string Weights = "adapter_model.safetensors";

    [SetUp]
    public void WriteTasks()
    {
        foreach ((string task, int seed) in new[] { ("a", 5), ("b", 6) })
        {
            Directory.CreateDirectory(At(task));
            TinyModel.WriteData(Path.Combine(At(task), "train.jsonl"), 12, seed);
            TinyModel.WriteData(Path.Combine(At(task), "eval.jsonl"), 6, seed + 10);
        }
    }

    private string[] Continual(params string[] more) =>
        [
            "continual",
            "--model",
            Model,
            "--task",
            $"a={At("a")}",
            "--task",
            $"b={At("b")}",
            "--out",
            Out,
            .. Training,
            .. more.Contains("--steps") ? Array.Empty<string>() : ["--steps", "4"],
            .. more,
        ];

    private static string[] Training => ["--batch", "2", "--lr", "1e-2", "--device", "cpu"];

    [TestCase("lora", "--init-adapter")]
    [TestCase("o-lora", "--previous-adapter")]
    public void EachTaskIsTheRunThatFinetuneMakes(string adapter, string from)
    {
        JsonElement result = CommandLine.Run(Continual("--adapter", adapter, "--seed", "7", "--json")).Succeeded().Json;
        string[] first = ["finetune", "--model", Model, .. Training, "--adapter", adapter, "--steps", "4"];
        CommandLine.Run([.. first, "--data", Records("a"), "--seed", "7", "--out", At("alone-1")]).Succeeded();
        CommandLine
            .Run([.. first, "--data", Records("b"), "--seed", "8", from, At("alone-1"), "--out", At("alone-2")])
            .Succeeded();
        foreach ((string task, string alone) in new[] { ("1-a", "alone-1"), ("2-b", "alone-2") })
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(Out, task, Weights)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(At(alone), Weights))),
                task
            );
        }

        string?[] adapters = [null, At("alone-1"), At("alone-2")];
        JsonElement[] stages = [.. result.GetProperty("stages").EnumerateArray()];
        Assert.That(
            stages.Select(stage => stage.GetProperty("after").GetString()),
            Is.EqualTo(new[] { null, "a", "b" })
        );
        foreach ((JsonElement stage, string? folder) in stages.Zip(adapters))
        {
            foreach (string task in (string[])["a", "b"])
            {
                string[] with = folder is null ? [] : ["--adapter", folder];
                string[] eval = ["eval", "--model", Model, "--data", Path.Combine(At(task), "eval.jsonl"), .. with];
                JsonElement alone = CommandLine
                    .Run([.. eval, "--batch", "2", "--device", "cpu", "--json"])
                    .Succeeded()
                    .Json;
                JsonElement score = stage.GetProperty("scores").GetProperty(task);
                foreach (string figure in (string[])["loss", "exact_match"])
                {
                    Assert.That(
                        score.GetProperty(figure).GetDouble(),
                        Is.EqualTo(alone.GetProperty(figure).GetDouble()),
                        $"{figure} of {task}"
                    );
                }
            }
        }
    }

    [Test]
    public void TableMeasuresAndPageAreWritten()
    {
        Outcome outcome = CommandLine.Run(Continual("--adapter", "lora")).Succeeded();
        JsonElement result = JsonSerializer.Deserialize<JsonElement>(
            File.ReadAllText(Path.Combine(Out, "continual.json"))
        );
        double[] a = Losses(result, "a");
        double[] b = Losses(result, "b");
        Assert.That(a[1], Is.LessThan(a[0]), "the task is learned");
        JsonElement loss = result.GetProperty("loss");
        Assert.That(loss.GetProperty("average").GetDouble(), Is.EqualTo((a[2] + b[2]) / 2).Within(1e-12));
        Assert.That(loss.GetProperty("backward_transfer").GetDouble(), Is.EqualTo(a[1] - a[2]).Within(1e-12));
        Assert.That(loss.GetProperty("forgetting").GetDouble(), Is.EqualTo(a[2] - a[1]).Within(1e-12));
        Assert.That(result.GetProperty("complete").GetBoolean());
        Assert.That(outcome.Output, Does.Match(@"loss +base +after a +after b\n").And.Contain("forgetting"));
        Assert.That(
            File.ReadAllText(Path.Combine(Out, "continual.html")),
            Does.Contain("after b").And.Contain("Backward transfer").And.Not.Contain("So far")
        );
        Assert.That(
            Directory.GetFileSystemEntries(Out).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "1-a", "2-b", "continual.html", "continual.json" })
        );
    }

    /// <summary>Each adapter changes the model into which the one before is folded.</summary>
    [Test]
    public void WithAFoldedBaseEachTaskIsAMergeAndARunOfFinetune()
    {
        CommandLine.Run(Continual("--adapter", "osf", "--seed", "7")).Succeeded();
        string[] train = ["finetune", .. Training, "--adapter", "osf", "--steps", "4"];
        CommandLine
            .Run([.. train, "--model", Model, "--data", Records("a"), "--seed", "7", "--out", At("alone-1")])
            .Succeeded();
        CommandLine
            .Run("merge", "--model", Model, "--adapter", At("alone-1"), "--out", At("merged"), "--device", "cpu")
            .Succeeded();
        CommandLine
            .Run([.. train, "--model", At("merged"), "--data", Records("b"), "--seed", "8", "--out", At("alone-2")])
            .Succeeded();
        foreach (
            (string made, string alone) in new[]
            {
                ("1-a/adapter_model.safetensors", "alone-1/adapter_model.safetensors"),
                ("1-a/model/model.safetensors", "merged/model.safetensors"),
                ("2-b/adapter_model.safetensors", "alone-2/adapter_model.safetensors"),
            }
        )
        {
            Assert.That(File.ReadAllBytes(Path.Combine(Out, made)), Is.EqualTo(File.ReadAllBytes(At(alone))), made);
        }
    }

    /// <summary>θ̄ = 0.25·θ₁ + 0.75·θ₂ is evaluated, and θ₂ is what would have been trained without it.</summary>
    [Test]
    public void InterpolatedTheAverageIsEvaluatedAndTrainingDoesNotSeeIt()
    {
        CommandLine.Run(Continual("--adapter", "lora", "--out", At("plain"))).Succeeded();
        JsonElement result = CommandLine
            .Run(Continual("--adapter", "lora", "--interpolate", "0.25", "--json"))
            .Succeeded()
            .Json;
        Dictionary<string, float[]>[] factors =
        [
            .. new[] { "out/1-a", "plain/2-b", "out/2-b", "out/2-b/average" }.Select(Factors),
        ];
        foreach ((string name, float[] average) in factors[3])
        {
            Assert.That(factors[2][name], Is.EqualTo(factors[1][name]), name);
            Assert.That(
                average,
                Is.EqualTo(factors[0][name].Zip(factors[1][name], (a, b) => (float)(0.25 * a + 0.75 * b))).Within(1e-7f)
            );
        }

        string[] eval = ["eval", "--model", Model, "--data", At("a/eval.jsonl"), "--batch", "2", "--device", "cpu"];
        JsonElement alone = CommandLine.Run([.. eval, "--adapter", At("out/2-b/average"), "--json"]).Succeeded().Json;
        Assert.That(Losses(result, "a")[2], Is.EqualTo(alone.GetProperty("loss").GetDouble()));
        Refused(
            Continual("--adapter", "o-lora", "--interpolate", "0.5", "--out", At("other")),
            "--interpolate \"0.5\"",
            "o-lora makes one for each"
        );
        Refused(Continual("--interpolate", "1", "--out", At("other")), "--interpolate \"1\"");
    }

    [Test]
    public void WhatKoreKeepsIsGivenAndThenTheEarlierTasks()
    {
        string[] run = Continual("--adapter", "kore", "--rank", "2");
        Refused(run, "kore", "--calibration-data FILE");
        Refused(Finetune("--adapter", "kore"), "kore", "--calibration-data FILE");
        Refused(
            Finetune("--adapter", "lora", "--calibration-data", Data),
            "--calibration-data",
            "does not start from data"
        );
        CommandLine.Run([.. run, "--calibration-data", Data]).Succeeded();
        Assert.That(Directory.Exists(At("out/1-a/model")));
        Assert.That(Directory.Exists(At("out/2-b/model")), Is.False, "nothing comes after it");
    }

    [TestCase("1-a", "--adapter", "lora", "--dropout", "0.1")]
    [TestCase("2-b", "--adapter", "lora", "--dropout", "0.1")]
    [TestCase("2-b", "--adapter", "o-lora")]
    [TestCase("2-b", "--adapter", "coso", "--set", "period=3")]
    [TestCase("2-b", "--adapter", "osf")]
    public void KilledInATaskItEndsWithTheSameBits(string task, params string[] more)
    {
        string[] run = Continual(["--steps", "12", "--save-every", "4", .. more]);
        CommandLine.Run(run).Succeeded();
        // A config has the full path of its base, which may be in the folder.
        Directory.Move(Out, At("whole"));
        using Process process = CommandLine.Start(run);
        for (
            var waited = Stopwatch.StartNew();
            !File.Exists(Path.Combine(Out, task, Weights)) && !process.HasExited;
            Thread.Sleep(1)
        )
        {
            Assert.That(waited.Elapsed, Is.LessThan(TimeSpan.FromMinutes(2)), "no checkpoint was written");
        }

        process.Kill();
        CommandLine.Finish(process);
        CommandLine.Run([.. run, "--resume"]).Succeeded();
        AssertSameAs(At("whole"));
    }

    [Test]
    public void DoneItHasNothingToResumeAndEvaluatesOnlyWhatIsMissing()
    {
        Outcome first = CommandLine.Run(Continual("--adapter", "lora")).Succeeded();
        string[] files = RunFiles.Snapshot(Out);
        Outcome again = CommandLine.Run(Continual("--adapter", "lora", "--resume")).Succeeded();
        Assert.That(RunFiles.Snapshot(Out), Is.EqualTo(files));
        Assert.That(again.Output, Is.EqualTo(first.Output[first.Output.IndexOf("loss  ", StringComparison.Ordinal)..]));
        byte[] summary = File.ReadAllBytes(Path.Combine(Out, "continual.json"));
        File.Delete(Path.Combine(Out, "continual.json"));
        CommandLine.Run(Continual("--adapter", "lora", "--resume")).Succeeded();
        Assert.That(File.ReadAllBytes(Path.Combine(Out, "continual.json")), Is.EqualTo(summary));
    }

    [Test]
    public void AnotherRunIsNotResumed()
    {
        CommandLine.Run(Continual("--adapter", "lora")).Succeeded();
        string[] files = RunFiles.Snapshot(Out);
        Refused(Continual("--adapter", "lora", "--resume", "--lr", "2e-2"), "--lr 0.01, not 0.02");
        Refused(Continual("--adapter", "lora", "--resume", "--steps", "5"), "--steps 4, not 5");
        Refused(Continual("--adapter", "lora"), "--out", "is not empty");
        TinyModel.WriteData(Records("b"), 12, seed: 9);
        Refused(Continual("--adapter", "lora", "--resume"), "other contents of --task 2-b");
        File.WriteAllText(Path.Combine(Out, "notes.txt"), "");
        Refused(Continual("--adapter", "lora", "--resume"), "--resume", "notes.txt");
        File.Delete(Path.Combine(Out, "notes.txt"));
        Assert.That(RunFiles.Snapshot(Out), Is.EqualTo(files));
    }

    [Test]
    public void AFileIsATaskWithItsHeldOutRecords()
    {
        string[] run = ["continual", "--model", Model, "--out", Out, .. Training, "--steps", "1", "--adapter", "lora"];
        CommandLine.Run([.. run, "--task", Records("a"), "--eval", $"train={At("b/eval.jsonl")}"]).Succeeded();
        Assert.That(Directory.Exists(Path.Combine(Out, "1-train")));
    }

    [Test]
    public void TasksThatCannotBeTrainedAreRefused()
    {
        string[] run = ["continual", "--model", Model, "--out", Out, .. Training, "--adapter", "lora"];
        Refused([.. run, "--task", $"a={Records("a")}"], $"--task a={Records("a")}", "--eval a=FILE");
        Refused([.. run, "--task", "a=missing"], "--task a=missing", "no such file or folder");
        Refused([.. run, "--task", $"../a={At("a")}"], "\"../a\"", "letters, digits");
        Refused([.. run, "--task", At("a"), "--task", At("a")], "two tasks are called \"a\"");
        Refused([.. run, "--task", At("a"), "--eval", $"c={Data}"], "--eval", "no task \"c\"");
        Refused([.. run, "--task", At("a"), "--warmup", "100"], "task a", "--warmup 100");
        Refused([.. run, "--task", At("a"), "--adapter", "bitfit", "--top-k", "3"], "--top-k \"3\"");
        File.Delete(At("b/eval.jsonl"));
        Refused([.. run, "--task", At("b")], "eval.jsonl");
    }

    private string Records(string task) => Path.Combine(At(task), "train.jsonl");

    private static double[] Losses(JsonElement result, string task) =>
        [
            .. result
                .GetProperty("stages")
                .EnumerateArray()
                .Select(stage => stage.GetProperty("scores").GetProperty(task).GetProperty("loss").GetDouble()),
        ];

    private Dictionary<string, float[]> Factors(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(At(folder), Weights));
        return file.Tensors.Values.ToDictionary(tensor => tensor.Name, tensor => tensor.ToFloats());
    }

    private void AssertSameAs(string whole)
    {
        foreach (string task in (string[])["1-a", "2-b"])
            RunFiles.AssertSame(Path.Combine(Out, task), Path.Combine(whole, task));
        Assert.That(Stages(Out), Is.EqualTo(Stages(whole)));

        static string Stages(string folder) =>
            JsonSerializer
                .Deserialize<JsonElement>(File.ReadAllText(Path.Combine(folder, "continual.json")))
                .GetProperty("stages")
                .GetRawText();
    }
}
