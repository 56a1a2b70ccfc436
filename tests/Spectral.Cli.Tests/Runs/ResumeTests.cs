using System.Diagnostics;
using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Runs;

/// <summary>
/// Tests `--resume`: a run that was killed resumes and ends with the same bits as an uninterrupted one; a command line
/// that does not fit is refused and changes nothing.
/// </summary>
public sealed class ResumeTests : WorkFolder
{
    private static bool IsFull => Environment.GetEnvironmentVariable("SPECTRAL_FULL") == "1";

    /// <summary>
    /// Kills runs at random moments. With a checkpoint after each step, most of the time is spent on writing them.
    /// </summary>
    [Test]
    public void KilledAtRandomMomentsItEndsWithTheSameBits()
    {
        int seed = TestContext.CurrentContext.Random.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        string[] run = Finetune(
            "--steps",
            "30",
            "--save-every",
            "1",
            "--eval",
            Data,
            "--eval-every",
            "7",
            "--lr",
            "1e-2",
            "--dropout",
            "0.1",
            "--accumulate",
            "2"
        );
        string whole = At("whole");
        var clock = Stopwatch.StartNew();
        CommandLine.Run([.. run, "--out", whole]).Succeeded();
        TimeSpan time = clock.Elapsed;
        int kills = 0;
        for (int i = 0; i < (IsFull ? 50 : 5); i++)
        {
            string killed = At($"killed-{i}");
            for (bool done = false; !done; )
            {
                using Process process = CommandLine.Start([.. run, "--out", killed, "--resume"]);
                // Three of four processes are killed and one runs to the end, so most runs are killed several times.
                if (random.Next(4) > 0 && !process.WaitForExit(random.NextDouble() * time))
                {
                    process.Kill();
                    CommandLine.Finish(process);
                    kills++;
                    continue;
                }
                CommandLine.Finish(process).Succeeded();
                done = true;
            }
            RunFiles.AssertSame(killed, whole);
        }
        TestContext.Out.WriteLine($"{kills} kills, a whole run takes {time}");
    }

    [TestCase("eva", "--rank", "3", "--graph")]
    [TestCase("adalora", "--set", "interval=2")]
    [TestCase("pissa", "--dtype", "bf16")]
    [TestCase("dora", "--ema", "0.6")]
    [TestCase("lora", "--clip-groups", "component", "--optimizer", "root")]
    [TestCase("lora", "--rmm", "0.4", "--flop-budget", "0.5", "--flop-interval", "3")]
    [TestCase("lora", "--checkpointing", "--offload-optimizer", "--optimizer", "muon8bit")]
    [TestCase("lora", "--init-adapter")]
    [TestCase("o-lora", "--previous-adapter")]
    [TestCase("p-tuning", "--set", "virtual-tokens=5")]
    [TestCase("prefix-tuning", "--set", "projection=on", "--graph")]
    public void KilledOnceItEndsWithTheSameBits(string adapter, params string[] more)
    {
        if (more is [var before] and ["--init-adapter" or "--previous-adapter"])
        {
            CommandLine.Run(Finetune("--adapter", "lora", "--out", At("first"), "--lr", "1e-2")).Succeeded();
            more = [before, At("first")];
        }
        EndsTheSame(
            Finetune(["--adapter", adapter, "--steps", "12", "--save-every", "4", "--lr", "1e-2", .. more]),
            Out,
            "adapter_model.safetensors"
        );
    }

    [TestCase("f32")]
    [TestCase("bf16")]
    public void PretrainingGoesOnToo(string type)
    {
        TinyModel.WriteConfigAndTokenizer(At("config"));
        EndsTheSame(
            [
                "pretrain",
                "--model",
                At("config"),
                "--data",
                Data,
                "--out",
                Out,
                "--steps",
                "12",
                "--save-every",
                "4",
                "--lr",
                "1e-2",
                "--batch",
                "2",
                "--device",
                "cpu",
                "--dtype",
                type,
            ],
            Out,
            "model.safetensors"
        );
    }

    /// <summary>Kills a run at its first checkpoint, resumes it, and compares it with an uninterrupted one.</summary>
    private void EndsTheSame(string[] run, string folder, string weights)
    {
        string whole = At("whole");
        CommandLine.Run([.. run, "--out", whole]).Succeeded();
        using Process process = CommandLine.Start(run);
        for (
            var waited = Stopwatch.StartNew();
            !File.Exists(Path.Combine(folder, weights)) && !process.HasExited;
            Thread.Sleep(1)
        )
        {
            Assert.That(waited.Elapsed, Is.LessThan(TimeSpan.FromMinutes(2)), "no checkpoint was written");
        }

        process.Kill();
        CommandLine.Finish(process);
        CommandLine.Run([.. run, "--resume"]).Succeeded();
        RunFiles.AssertSame(folder, whole);
    }

    [Test]
    public void ADoneRunSaysSoAndStaysAsItIs()
    {
        JsonElement result = CommandLine.Run(Finetune("--json", "--eval", Data)).Succeeded().Json;
        string[] before = RunFiles.Snapshot(Out);
        Assert.That(
            CommandLine.Run(Finetune("--eval", Data, "--resume")).Succeeded().Output,
            Does.Contain("is done: all 2 steps")
        );
        JsonElement again = CommandLine
            .Run(
                Finetune(
                    "--json",
                    "--eval",
                    Data,
                    "--resume",
                    "--log-every",
                    "1",
                    "--save-every",
                    "1",
                    "--threads",
                    "1",
                    "--max-skipped",
                    "9"
                )
            )
            .Succeeded()
            .Json;
        Assert.That(
            again.GetProperty("final_loss").GetDouble(),
            Is.EqualTo(result.GetProperty("final_loss").GetDouble())
        );
        Assert.That(
            again.GetProperty("eval_loss_before").GetDouble(),
            Is.EqualTo(result.GetProperty("eval_loss_before").GetDouble())
        );
        Assert.That(RunFiles.Snapshot(Out), Is.EqualTo(before));
    }

    [Test]
    public void WithoutACheckpointItBegins()
    {
        CommandLine.Run(Finetune("--resume")).Succeeded();
        Assert.That(RunFiles.Log(Out), Has.Length.EqualTo(2));
        Refused(Finetune("--resume", "--overwrite"), "--resume", "--overwrite");
        string foreign = At("foreign");
        Directory.CreateDirectory(foreign);
        File.WriteAllText(Path.Combine(foreign, "adapter_config.json"), "{}");
        Refused(Finetune("--resume", "--out", foreign), "--resume", foreign, "no checkpoint", "--overwrite");
    }

    [Test]
    public void AnotherRunIsRefusedWithWhatDiffers()
    {
        CommandLine.Run(Finetune("--eval", Data)).Succeeded();
        string[] before = RunFiles.Snapshot(Out);
        string other = TinyModel.WriteData(At("other.jsonl"), 24, seed: 4);
        string model = TinyModel.Create(At("model2"), seed: 2);
        RefusedToResume(["--eval", Data, "--lr", "0.5"], "--lr 0.0002, not 0.5");
        RefusedToResume(["--eval", Data, "--steps", "1"], "2 steps", "not 1");
        RefusedToResume(["--eval", Data, "--set", "x=1", "--adapter", "adalora"], "setting");
        RefusedToResume(["--eval", Data, "--adapter", "lora"], "--adapter speclora, not lora");
        RefusedToResume(["--eval", Data, "--graph"], "--graph no, not yes");
        RefusedToResume([], "--eval");
        RefusedToResume(["--eval", other], "other contents of --eval");
        RefusedToResume(["--eval", Data, "--data", other], "other contents of --data");
        RefusedToResume(["--eval", Data, "--model", model], "other contents of --model model.safetensors");
        File.WriteAllText(Path.Combine(Model, "tokenizer_config.json"), "{}");
        RefusedToResume(["--eval", Data], "no --model tokenizer_config.json");
        File.Delete(Path.Combine(Model, "tokenizer_config.json"));
        CommandLine
            .RunWith("SPECTRAL_LOWRANK", "augmented", Finetune("--eval", Data, "--resume"))
            .Refused(2, "SPECTRAL_LOWRANK", "augmented");
        Assert.That(RunFiles.Snapshot(Out), Is.EqualTo(before));
        // The same contents at another path are accepted.
        File.Move(Data, At("moved.jsonl"));
        CommandLine.Run(Finetune("--eval", At("moved.jsonl"), "--data", At("moved.jsonl"), "--resume")).Succeeded();

        void RefusedToResume(string[] more, params string[] named) =>
            Refused(Finetune([.. more, "--resume"]), [.. named]);
    }

    /// <summary>
    /// With a constant rate nothing depends on the length, so that the run ends as one that had its final length from
    /// the start.
    /// </summary>
    [Test]
    public void ARunThatIsDoneGoesOnWhenMoreStepsAreAskedFor()
    {
        string[] Run(params string[] more) =>
            Finetune(["--schedule", "constant", "--batch", "5", "--lr", "1e-2", "--adapter", "lora", .. more]);

        CommandLine.Run(Run("--epochs", "2", "--out", At("whole"))).Succeeded();
        CommandLine.Run(Run("--epochs", "1")).Succeeded();
        Refused(Run("--resume", "--steps", "4"), "5 steps", "not 4");
        Assert.That(
            CommandLine.Run(Run("--epochs", "2", "--resume")).Succeeded().Error,
            Does.Contain("--epochs 1").And.Contain("step 10")
        );
        foreach (string name in new[] { "adapter_model.safetensors", "adapter_config.json" })
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(Out, name)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(At("whole"), name))),
                name
            );
        }

        Assert.That(CommandLine.Run(Run("--epochs", "2", "--resume")).Succeeded().Output, Does.Contain("all 10 steps"));
    }

    /// <summary>A checkpoint of an unfinished run is damaged in each way that is detected.</summary>
    [Test]
    public void ADamagedCheckpointIsRefused()
    {
        string[] run = Finetune("--steps", "8", "--save-every", "2", "--target", "q_proj", "--lr", "1e-2");
        string whole = At("whole");
        string state = RunFiles.StateFile(Out);
        string log = Path.Combine(Out, "train_log.jsonl");
        CommandLine.Run([.. run, "--out", whole]).Succeeded();
        using (Process process = CommandLine.Start(run))
        {
            for (
                var waited = Stopwatch.StartNew();
                !File.Exists(state) && waited.Elapsed < TimeSpan.FromMinutes(2);
                Thread.Sleep(1)
            )
            {
                Assert.That(process.HasExited, Is.False);
            }

            process.Kill();
            CommandLine.Finish(process);
        }
        byte[] good = File.ReadAllBytes(state);
        byte[] kept = File.ReadAllBytes(log);
        Damaged(state, good[..(good.Length / 2)], "ends");
        Damaged(state, good[..4], "checkpoint.safetensors");
        Damaged(state, [], "checkpoint.safetensors");
        Damaged(state, Rewritten(good, metadata => metadata["version"] = "2"), "version '2'", "version 1");
        Damaged(state, Rewritten(good, metadata => metadata["state"] = "{"), "cannot be read");
        Damaged(state, Rewritten(good, metadata => metadata["format"] = "pt"), "no trainer state");
        Damaged(state, Rewritten(good, change: tensors => tensors.RemoveAt(0)), "no tensor");
        Damaged(
            state,
            Rewritten(
                good,
                change: tensors =>
                    tensors[0] = TensorToWrite.Floats(tensors[0].Name, StoredType.F32, [3], () => [1, 2, 3])
            ),
            "[3]",
            "expected F32"
        );
        Damaged(
            state,
            Rewritten(
                good,
                change: tensors => tensors.Add(TensorToWrite.Floats("extra", StoredType.F32, [1], () => [1]))
            ),
            "extra"
        );
        Damaged(
            state,
            Rewritten(good, metadata => metadata["state"] = metadata["state"].Replace("files-", "../../files-")),
            "names the folder"
        );
        Damaged(
            state,
            Rewritten(good, metadata => metadata["state"] = metadata["state"].Replace("\"Step\":", "\"Step\":1")),
            "step"
        );
        Damaged(log, kept[..10], "train_log.jsonl");
        Damaged(log, [.. kept[..20], (byte)'9', .. kept[21..]], "train_log.jsonl");
        Damaged(log, null, "train_log.jsonl");
        CommandLine.Run([.. run, "--resume"]).Succeeded();
        RunFiles.AssertSame(Out, whole);

        void Damaged(string file, byte[]? bytes, params string[] named)
        {
            byte[] old = File.ReadAllBytes(file);
            if (bytes is null)
                File.Delete(file);
            else
                File.WriteAllBytes(file, bytes);
            string[] before = RunFiles.Snapshot(Out);
            Refused([.. run, "--resume"], named);
            Assert.That(RunFiles.Snapshot(Out), Is.EqualTo(before), string.Join(' ', named));
            File.WriteAllBytes(file, old);
        }
    }

    [Test]
    public void WhatForcedVariantsIsForcedAgain()
    {
        string[] run = Finetune("--steps", "40", "--save-every", "2", "--dtype", "bf16");
        using (Process process = CommandLine.StartWith("SPECTRAL_LOWRANK", "portable", run))
        {
            for (
                var waited = Stopwatch.StartNew();
                !File.Exists(RunFiles.StateFile(Out)) && waited.Elapsed < TimeSpan.FromMinutes(2);
                Thread.Sleep(1)
            )
            {
                Assert.That(process.HasExited, Is.False);
            }

            process.Kill();
            CommandLine.Finish(process);
        }
        JsonElement result = CommandLine.Run([.. run, "--resume", "--json"]).Succeeded().Json;
        Assert.That(
            result
                .GetProperty("variants")
                .EnumerateArray()
                .Select(use => use.GetString())
                .Where(use => use!.StartsWith("low_rank_linear forward", StringComparison.Ordinal)),
            Is.EqualTo(new[] { "low_rank_linear forward bf16: portable" })
        );
    }

    private byte[] Rewritten(
        byte[] file,
        Action<Dictionary<string, string>>? metadata = null,
        Action<List<TensorToWrite>>? change = null
    )
    {
        string source = At("rewritten.from");
        string target = At("rewritten.to");
        File.WriteAllBytes(source, file);
        using (var open = SafetensorsFile.Open(source))
        {
            var facts = new Dictionary<string, string>(open.Metadata);
            metadata?.Invoke(facts);
            List<TensorToWrite> tensors =
            [
                .. open
                    .Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)
                    .Select(tensor => TensorToWrite.Copy(tensor)),
            ];
            change?.Invoke(tensors);
            SafetensorsWriter.Write(target, tensors, facts);
        }
        byte[] bytes = File.ReadAllBytes(target);
        File.Delete(source);
        File.Delete(target);
        return bytes;
    }
}
