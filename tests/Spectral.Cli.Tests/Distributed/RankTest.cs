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

    /// <summary>Returns the arguments of a run that rounding cannot lead far away.</summary>
    protected string[] Train(string name, params string[] more) =>
        Finetune(["--adapter", "lora", "--steps", "4", "--threads", "1", "--lr", "1e-4", .. more, "--out", At(name)]);
}
