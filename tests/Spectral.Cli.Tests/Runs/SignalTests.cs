using System.Diagnostics;
using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Runs;

/// <summary>Tests how signals stop a command.</summary>
[Platform(Exclude = "Win", Reason = "POSIX signals")]
public sealed class SignalTests : WorkFolder
{
    private const int Interrupt = 2;
    private const int Terminate = 15;

    [TestCase(Interrupt, 130)]
    [TestCase(Terminate, 143)]
    public void TheStepIsFinishedAndSavedAndTheRunGoesOn(int signal, int exitCode)
    {
        string[] run = Finetune("--steps", "150", "--save-every", "1000000", "--lr", "1e-2");
        string whole = At("whole");
        CommandLine.Run([.. run, "--out", whole]).Succeeded();
        using Process process = CommandLine.Start(run);
        WaitFor(() => File.Exists(Log) && new FileInfo(Log).Length > 0, process);
        CommandLine.Signal(process, signal);
        Outcome stopped = CommandLine.Finish(process);
        stopped.Stopped(exitCode, canResume: true);
        int step = File.ReadLines(Log).Count();
        Assert.That(stopped.Error, Does.Contain($"step {step} of 150"), "no step is lost");
        CommandLine.Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu").Succeeded();
        Assert.That(
            Directory.GetFileSystemEntries(Out, "*", SearchOption.AllDirectories).Select(Path.GetFileName),
            Has.None.Contains("tmp").And.None.Contains("files-")
        );
        Assert.That(
            CommandLine.Run([.. run, "--resume"]).Succeeded().Output,
            Does.Contain($"resuming after step {step}")
        );
        foreach (string file in (string[])["adapter_config.json", "adapter_model.safetensors"])
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(Out, file)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(whole, file))),
                file
            );
        }
    }

    [Test]
    public void BeforeTheFirstStepNothingStays()
    {
        TinyModel.WriteData(At("much.jsonl"), 100_000);
        using Process process = CommandLine.Start(Finetune("--steps", "1", "--eval", At("much.jsonl")));
        WaitFor(() => File.Exists(Log), process);
        CommandLine.Signal(process, Interrupt);
        CommandLine.Finish(process).Stopped(130);
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model", "much.jsonl" }));
    }

    [TestCase(Interrupt, 130)]
    [TestCase(Terminate, 143)]
    public void AStoppedCompressionLeavesNothing(int signal, int exitCode)
    {
        CommandLine.Run(Finetune("--model", Sample)).Succeeded();
        string[] before = Entries();
        using Process process = CommandLine.Start(Compress());
        WaitFor(() => Entries().Any(IsStaging), process);
        CommandLine.Signal(process, signal);
        CommandLine.Finish(process).Stopped(exitCode);
        Assert.That(Entries(), Is.EqualTo(before));
    }

    [TestCase("compress", "delta-come", "--set", "bits=16")]
    [TestCase("merge", "dc-merge")]
    public void WhatAKilledProcessWroteIsRemovedByTheNext(string command, string method, params string[] more)
    {
        CommandLine.Run(Finetune("--model", Sample)).Succeeded();
        string[] run =
        [
            .. (string[])[command, "--method", method, .. more, "--model", Sample],
            .. (string[])["--input", Out, "--out", Smaller, "--device", "cpu"],
        ];
        string[] before = Entries();
        KillWhile(() => Entries().Any(IsStaging), run);
        Assert.That(Directory.GetFiles(Smaller, "*.json"), Is.Empty, "what is half written has another name");
        Assert.That(Entries().Count(IsStaging), Is.EqualTo(1), "killed, it could remove nothing");
        // The folder with the lock is there now, so that this one writes into it.
        KillWhile(() => Staging(Smaller).Length > 0, run);
        Assert.That(Entries().Where(IsStaging), Is.Empty, "the second removed what the first had left");
        Directory.CreateDirectory(At($".smaller.{Environment.ProcessId}.partial"));
        Directory.CreateDirectory(At(".smaller.mine.partial"));
        CommandLine.Run(run).Succeeded();
        Assert.That(Staging(Smaller), Is.Empty, "the third removed what the second had left");
        Assert.That(
            Entries().Except(before),
            Is.SubsetOf((string[])[".smaller.mine.partial", $".smaller.{Environment.ProcessId}.partial", "smaller"]),
            "nothing of ours is left"
        );
        Assert.That(Entries().Count(IsStaging), Is.EqualTo(2), "other names, and those of running processes, stay");
        Assert.That(Directory.GetFiles(Smaller, "*.json"), Is.Not.Empty);
    }

    [Test]
    public void ASecondSignalEndsItAtOnce()
    {
        using Process process = CommandLine.Start(
            Finetune("--steps", "1000", "--accumulate", "700", "--data", TinyModel.WriteData(At("much.jsonl"), 5600))
        );
        WaitFor(() => File.Exists(Log) && new FileInfo(Log).Length > 0, process);
        CommandLine.Signal(process, Interrupt);
        Thread.Sleep(100); // a step takes seconds
        CommandLine.Signal(process, Interrupt);
        Outcome outcome = CommandLine.Finish(process);
        Assert.That((outcome.ExitCode, outcome.Error), Is.EqualTo((130, "")));
        Assert.That(File.ReadLines(Log).Count(), Is.EqualTo(1), "the step was not finished");
        Assert.That(File.Exists(RunFiles.StateFile(Out)), Is.False);
    }

    [TestCase(Interrupt, 130)]
    [TestCase(Terminate, 143)]
    public void FinishedRunsOfAComparisonAreKept(int signal, int exitCode)
    {
        using Process process = CommandLine.Start(
            "compare",
            "--model",
            Model,
            "--data",
            Data,
            "--eval",
            Data,
            "--out",
            Out,
            "--methods",
            "lora,speclora",
            "--seeds",
            "1000",
            "--steps",
            "2",
            "--batch",
            "2",
            "--device",
            "cpu"
        );
        string page = Path.Combine(Out, "compare.html");
        WaitFor(() => File.Exists(page), process);
        CommandLine.Signal(process, signal);
        CommandLine.Finish(process).Stopped(exitCode);
        JsonElement result = JsonSerializer.Deserialize<JsonElement>(
            File.ReadAllText(Path.Combine(Out, "compare.json"))
        );
        int lines = File.ReadLines(Path.Combine(Out, "runs.jsonl"))
            .Count(line => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("steps").GetInt32() == 2);
        Assert.That(result.GetProperty("complete").GetBoolean(), Is.False);
        Assert.That(
            result.GetProperty("methods").EnumerateArray().Sum(method => method.GetProperty("runs").GetInt32()),
            Is.EqualTo(lines).And.Positive
        );
        Assert.That(File.ReadAllText(page), Does.Contain($"So far {lines} of 2000 runs"));
        Assert.That(
            Directory.GetFileSystemEntries(Out).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "compare.html", "compare.json", "runs.jsonl" })
        );
    }

    private static string Sample => Path.Combine(Repository.Root, "samples", "base-model");

    private string Smaller => At("smaller");

    /// <summary>Whether the folder beside the result is there that is renamed to it in the end.</summary>
    private static bool IsStaging(string entry) => entry.StartsWith(".smaller.", StringComparison.Ordinal);

    private static string[] Staging(string folder) => Directory.GetDirectories(folder, ".*.partial");

    private static void KillWhile(Func<bool> isWriting, string[] command)
    {
        using Process process = CommandLine.Start(command);
        WaitFor(isWriting, process);
        process.Kill();
        CommandLine.Finish(process);
    }

    private string[] Compress() =>
        [
            .. (string[])["compress", "--method", "delta-come", "--set", "bits=16", "--model", Sample],
            .. (string[])["--input", Out, "--out", Smaller, "--device", "cpu"],
        ];

    private string Log => Path.Combine(Out, "train_log.jsonl");

    private static void WaitFor(Func<bool> condition, Process process)
    {
        for (var waited = Stopwatch.StartNew(); !condition(); Thread.Sleep(20))
        {
            Assert.That(
                !process.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2),
                "the run ended or hung before it came that far"
            );
        }
    }
}
