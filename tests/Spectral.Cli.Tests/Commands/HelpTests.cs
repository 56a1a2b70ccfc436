using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests the help texts and the version.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class HelpTests
{
    private static readonly string[] Commands =
    [
        "info",
        "finetune",
        "compare",
        "continual",
        "methods",
        "place",
        "plan",
        "pretrain",
        "eval",
        "generate",
        "chat",
        "render",
        "merge",
        "export",
        "compress",
        "svd",
        "analyze",
        "tokenize",
    ];

    [Test]
    public void NoArgumentsPrintHelpWithEveryCommand()
    {
        Outcome bare = CommandLine.Run().Succeeded();
        Outcome asked = CommandLine.Run("--help").Succeeded();
        Assert.That(bare.Output, Is.EqualTo(asked.Output));
        foreach (string command in Commands)
            Assert.That(bare.Output, Does.Contain("\n  " + command + " "));
    }

    [Test]
    public void TheListOfCommandsHasALineForEachAndTheirHelpTheDetails()
    {
        string[] lines = CommandLine.Run("--help").Output.Split('\n');
        Assert.That(lines, Has.All.Length.LessThanOrEqualTo(100));
        Assert.That(string.Join('\n', lines), Does.Not.Contain("residual_bound"));
        Assert.That(CommandLine.Run("svd", "--help").Output, Does.Contain("residual_bound"));
    }

    [TestCaseSource(nameof(Commands))]
    public void EveryCommandHasHelpWithAnExample(string command)
    {
        string help = CommandLine.Run(command, "--help").Succeeded().Output;
        Assert.That(help, Does.Match("Examples?:\n  spectral " + command + "( |\n)"));
        Assert.That(help, Does.Contain("--json").And.Contain("--debug"));
    }

    [TestCase("--model")]
    [TestCase("--target")]
    [TestCase("--lr")]
    [TestCase("--top-k")]
    [TestCase("--init-adapter")]
    [TestCase("--save-every")]
    [TestCase("--threads")]
    [TestCase("--svd")]
    [TestCase("--calibration-records")]
    [TestCase("--lr-ratio")]
    [TestCase("--previous-adapter")]
    [TestCase("--checkpointing")]
    [TestCase("--offload-optimizer")]
    [TestCase("--max-memory")]
    [TestCase("--log")]
    [TestCase("--serve")]
    public void FinetuneHelpNamesItsOptions(string option) =>
        Assert.That(CommandLine.Run("finetune", "--help").Output, Does.Contain("  " + option));

    [Test]
    public void FinetuneHelpShowsDefaults()
    {
        string help = CommandLine.Run("finetune", "--help").Output;
        foreach (
            string line in new[] { "[default: speclora]", "[default: 0.0002]", "[default: cosine]", "[default: q_proj" }
        )
        {
            Assert.That(help.Replace("\n", " ").Replace("  ", ""), Does.Contain(line));
        }
    }

    [Test]
    public void VersionIsOneLine() =>
        Assert.That(CommandLine.Run("--version").Succeeded().Output, Does.Match(@"^\d+\.\d+\.\d+\S*\n$"));
}
