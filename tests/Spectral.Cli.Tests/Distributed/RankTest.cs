using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>What the tests of several ranks share: runs of a tiny model and the comparison of their logs.</summary>
public abstract class RankTest : WorkFolder
{
    /// <summary>
    /// How far losses of several ranks may be from those of one process: their sums are rounded in another order.
    /// </summary>
    protected const double Rounding = 1e-6;

    /// <summary>Returns a value of every step of the log of a run; NaN for null.</summary>
    protected static double[] Logged(string folder, string name) =>
        [
            .. File.ReadLines(Path.Combine(folder, "train_log.jsonl"))
                .Select(line => JsonNode.Parse(line)![name]?.GetValue<double>() ?? double.NaN),
        ];

    /// <summary>Asserts that two runs had the same losses but for rounding.</summary>
    protected static void AssertSameLosses(string folder, string wanted)
    {
        (double[] losses, double[] expected) = (Logged(folder, "loss"), Logged(wanted, "loss"));
        Assert.That(losses, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < losses.Length; i++)
            AssertClose(losses[i], expected[i], $"step {i + 1}");
        Assert.That(Logged(folder, "tokens"), Is.EqualTo(Logged(wanted, "tokens")));
    }

    /// <summary>Asserts that two numbers are equal but for rounding.</summary>
    protected static void AssertClose(double value, double wanted, string what) =>
        Assert.That(
            double.IsNaN(wanted) ? double.IsNaN(value) : Math.Abs(value - wanted) <= Rounding * Math.Abs(wanted),
            $"{what}: {value:R}, expected {wanted:R}"
        );

    /// <summary>Asserts that two runs made the same steps and the same adapter, to the bit.</summary>
    protected static void AssertSameRun(string folder, string wanted)
    {
        foreach (string name in (string[])["loss", "grad_norm", "tokens"])
            Assert.That(Logged(folder, name), Is.EqualTo(Logged(wanted, name)), name);
        foreach (string name in (string[])["adapter_model.safetensors", "adapter_config.json"])
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(folder, name)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(wanted, name))),
                name
            );
        }
    }

    /// <summary>
    /// Kills one of two ranks, and asserts that the run ends with one clear line and resumes to the bits of a run that
    /// was not stopped. The runs are left as "killed" and "whole".
    /// </summary>
    protected void AssertKilledRankEndsAllAndRunResumes(string[] options)
    {
        CommandLine.RunRanks(2, Train("whole", options)).Succeeded();
        using Process process = CommandLine.StartRanks(2, Train("killed", options));
        Outcome killed = KillRank(process, At("killed"), rank: 1);
        Assert.That(killed.ExitCode, Is.Not.Zero);
        Assert.That(killed.Error, Does.Match("process rank 1 .* signal 9").And.Not.Contain("   at "));

        CommandLine.RunRanks(2, [.. Train("killed", options), "--resume"]).Succeeded();
        RunFiles.AssertSame(At("killed"), At("whole"));
    }

    /// <summary>Returns the arguments of a run that rounding cannot lead far away.</summary>
    protected string[] Train(string name, params string[] more) =>
        Finetune(["--adapter", "lora", "--steps", "4", "--threads", "1", "--lr", "1e-4", .. more, "--out", At(name)]);

    /// <summary>
    /// Kills a rank of a run once it has a checkpoint, and asserts that the launcher ends within 30 s.
    /// </summary>
    /// <param name="launcher">The launcher of the run.</param>
    /// <param name="folder">The run's folder.</param>
    /// <param name="rank">The rank to kill.</param>
    private static Outcome KillRank(Process launcher, string folder, int rank)
    {
        string state = RunFiles.StateFile(folder);
        var waited = Stopwatch.StartNew();
        for (; !File.Exists(state) && !launcher.HasExited; Thread.Sleep(1))
            Assert.That(waited.Elapsed, Is.LessThan(TimeSpan.FromMinutes(1)), "no checkpoint was written");
        using (var process = Process.GetProcessById(RankOf(launcher.Id, rank)))
            process.Kill();
        waited.Restart();
        Outcome killed = CommandLine.Finish(launcher);
        Assert.That(waited.Elapsed, Is.LessThan(TimeSpan.FromSeconds(30)));
        return killed;
    }

    /// <summary>Returns the process of a rank: a child of the launcher, with the rank in its environment.</summary>
    private static int RankOf(int launcher, int rank) =>
        Directory
            .GetDirectories("/proc")
            .Select(folder => int.TryParse(Path.GetFileName(folder), out int id) ? id : 0)
            .Where(id => id > 0 && ParentOf(id) == launcher)
            .Single(id => File.ReadAllText($"/proc/{id}/environ").Split('\0').Contains($"OMPI_COMM_WORLD_RANK={rank}"));

    private static int ParentOf(int process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]);
        }
        catch (IOException)
        {
            return 0; // it has ended
        }
    }
}
