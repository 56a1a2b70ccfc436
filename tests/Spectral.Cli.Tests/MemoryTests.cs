using System.Globalization;
using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests;

/// <summary>Tests runs on a device with less memory than they need.</summary>
[Platform(Include = "Linux", Reason = "the CPU device")]
public sealed class MemoryTests : WorkFolder
{
    private const string Limit = "SPECTRAL_CPU_MEMORY";

    private string[] FinetuneInOrder(string output, int steps, params string[] more) =>
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--out",
            output,
            "--steps",
            $"{steps}",
            "--batch",
            "4",
            "--no-shuffle",
            "--schedule",
            "constant",
            "--save-every",
            "1",
            "--device",
            "cpu",
            .. more,
        ];

    [Test]
    public void ARunThatRunsOutKeepsItsLastCheckpointAndSaysWhatWouldHelp()
    {
        // Three steps of short records, then a step of long ones.
        File.WriteAllLines(
            Data,
            Enumerable
                .Range(0, 16)
                .Select(i => JsonSerializer.Serialize(new { text = new string('a', i < 12 ? 8 : 250) }))
        );
        long few = Peak("few", 3);
        long all = Peak("all", 4);
        Assert.That(all, Is.GreaterThan(2 * few), "what the limit is put between");
        Outcome outcome = CommandLine.RunWith(Limit, $"{(few + all) / 2}", FinetuneInOrder(Out, 4));
        outcome.Refused(1, "out of device memory", "MiB were asked for", "in use");
        foreach (
            string option in new[] { "--batch 2 --accumulate 2", "--max-length 125", "--dtype bf16", "--checkpointing" }
        )
        {
            Assert.That(outcome.Error, Does.Match($@"{option} saves [\d.]+ MiB"));
        }
        Assert.That(
            outcome.Error,
            Does.Contain(
                ((few + all) / 2 / (double)(1 << 20)).ToString("#,0.##", CultureInfo.InvariantCulture) + " MiB free"
            )
        );
        Assert.That(File.ReadLines(Path.Combine(Out, "train_log.jsonl")).Count(), Is.EqualTo(3));
        Assert.That(
            File.ReadAllBytes(Path.Combine(Out, "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(At("few"), "adapter_model.safetensors"))),
            "three steps' adapter"
        );
        Assert.That(
            Directory.GetFileSystemEntries(Out).Select(Path.GetFileName),
            Has.None.Contains("tmp").And.None.Contains("lock")
        );
        CommandLine.Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu").Succeeded();

        long Peak(string name, int steps) =>
            CommandLine
                .Run(FinetuneInOrder(At(name), steps, "--json"))
                .Succeeded()
                .Json.GetProperty("peak_memory_bytes")
                .GetInt64();
    }

    /// <summary>What a message names helps: with it, the run fits into what it did not fit into before.</summary>
    [Test]
    public void TheLimitHoldsAndWhatIsNamedHelps()
    {
        string[] run = FinetuneInOrder(Out, 2, "--json", "--adapter", "lora");
        long peak = CommandLine.Run(run).Succeeded().Json.GetProperty("peak_memory_bytes").GetInt64();
        Directory.Delete(Out, recursive: true);
        string limit = $"{peak * 85 / 100}";
        Outcome failed = CommandLine.Run([.. run, "--max-memory", limit]);
        failed.Refused(1, "out of device memory", "which --max-memory allows", "--checkpointing saves");
        Assert.That(Directory.Exists(Out), Is.False);
        long within = CommandLine
            .Run([.. run, "--max-memory", limit, "--checkpointing"])
            .Succeeded()
            .Json.GetProperty("peak_memory_bytes")
            .GetInt64();
        Assert.That(within, Is.LessThanOrEqualTo(peak * 85 / 100));
        CommandLine.Run([.. run, "--overwrite", "--max-memory", $"{peak * 125 / 100}B"]).Succeeded();
    }

    [Test]
    public void EvalAndGenerateKeepToTheLimitToo()
    {
        string[] eval = ["eval", "--model", Model, "--data", Data, "--device", "cpu", "--max-memory"];
        string[] generate = ["generate", "--model", Model, "--prompt", "1 again: ", "--device", "cpu", "--max-memory"];
        CommandLine.Run([.. eval, "64MiB"]).Succeeded();
        CommandLine.Run([.. generate, "64MiB"]).Succeeded();
        CommandLine.Run([.. eval, "200KB"]).Refused(1, "out of device memory", "--batch 4 saves", "--dtype bf16 saves");
        CommandLine.Run([.. generate, "120KB"]).Refused(1, "out of device memory", "--dtype bf16 saves");
        CommandLine.Run([.. generate, "1KB"]).Refused(2, "expected a model that fits into");
    }

    [Test]
    public void BeforeTheFirstCheckpointNothingStays()
    {
        Outcome outcome = CommandLine.RunWith(Limit, "300000", Finetune());
        outcome.Refused(1, "out of device memory", "0.29 MiB free");
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model" }));
    }

    [Test]
    public void AModelThatCannotFitIsRefused()
    {
        Outcome outcome = CommandLine.RunWith(Limit, "50000", Finetune());
        outcome.Refused(2, "config.json", "parameters", "expected a model that fits");
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model" }));
    }
}
