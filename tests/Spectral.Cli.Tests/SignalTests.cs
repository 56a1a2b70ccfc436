using System.Diagnostics;
using System.Text.Json;

namespace Spectral.Cli.Tests;

/// <summary>Stopping a run from outside.</summary>
[Platform(Exclude = "Win", Reason = "POSIX signals")]
public sealed class SignalTests : WorkFolder
{
    private const int Interrupt = 2, Terminate = 15;

    [TestCase(Interrupt, 130), TestCase(Terminate, 143)]
    public void LastCheckpointIsKept(int signal, int exitCode)
    {
        using Process process = Spectral.Start(Finetune("--steps", "1000000", "--save-every", "1"));
        string adapter = Path.Combine(Out, "adapter_model.safetensors");
        WaitFor(() => File.Exists(adapter), process);
        Spectral.Signal(process, signal);
        Spectral.Finish(process).Stopped(exitCode);
        Spectral.Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu").Succeeded();
        Assert.That(Directory.GetFileSystemEntries(Out).Select(Path.GetFileName), Has.None.Contains("tmp").And.None.Contains("partial"));
    }

    [TestCase(Interrupt, 130), TestCase(Terminate, 143)]
    public void WithoutACheckpointNothingStays(int signal, int exitCode)
    {
        using Process process = Spectral.Start(Finetune("--steps", "1000000", "--save-every", "1000000"));
        WaitFor(() => File.Exists(Path.Combine(Out, "train_log.jsonl")), process);
        Spectral.Signal(process, signal);
        Spectral.Finish(process).Stopped(exitCode);
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model" }));
    }

    [TestCase(Interrupt, 130), TestCase(Terminate, 143)]
    public void FinishedRunsOfAComparisonAreKept(int signal, int exitCode)
    {
        using Process process = Spectral.Start("compare", "--model", Model, "--data", Data, "--eval", Data, "--out", Out, "--methods", "lora,speclora", "--seeds", "1000",
            "--steps", "2", "--batch", "2", "--device", "cpu");
        string page = Path.Combine(Out, "compare.html");
        WaitFor(() => File.Exists(page), process);
        Spectral.Signal(process, signal);
        Spectral.Finish(process).Stopped(exitCode);
        JsonElement result = JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(Path.Combine(Out, "compare.json")));
        int lines = File.ReadLines(Path.Combine(Out, "runs.jsonl")).Count(line => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("steps").GetInt32() == 2);
        Assert.That(result.GetProperty("complete").GetBoolean(), Is.False);
        Assert.That(result.GetProperty("methods").EnumerateArray().Sum(method => method.GetProperty("runs").GetInt32()), Is.EqualTo(lines).And.Positive);
        Assert.That(File.ReadAllText(page), Does.Contain($"So far {lines} of 2000 runs"));
        Assert.That(Directory.GetFileSystemEntries(Out).Select(Path.GetFileName), Is.EquivalentTo(new[] { "compare.html", "compare.json", "runs.jsonl" }));
    }

    private static void WaitFor(Func<bool> condition, Process process)
    {
        for (var waited = Stopwatch.StartNew(); !condition(); Thread.Sleep(20))
            Assert.That(!process.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2), "the run ended or hung before it came that far");
    }
}
