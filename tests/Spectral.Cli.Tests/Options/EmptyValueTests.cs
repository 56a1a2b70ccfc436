using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Options;

/// <summary>Tests that `--name=` gives an option an empty value and leaves the next argument alone.</summary>
public sealed class EmptyValueTests : WorkFolder
{
    [Test]
    public void AnEmptyTextMayStandBeforeAnotherOption()
    {
        Outcome outcome = CommandLine.Run("tokenize", "--model", Model, "--text=", "--json").Succeeded();
        Assert.That(outcome.Json.GetProperty("ids").GetArrayLength(), Is.Zero);
        Assert.That(outcome.Json.GetProperty("text").GetString(), Is.Empty);
    }

    [Test]
    public void AValueMayEndWithAnEqualsSign()
    {
        Outcome outcome = CommandLine.Run("tokenize", "--model", Model, "--text=a=", "--json").Succeeded();
        Assert.That(outcome.Json.GetProperty("text").GetString(), Is.EqualTo("a="));
    }

    [TestCase("--rank")]
    [TestCase("--target")]
    [TestCase("--adapter")]
    public void AnEmptyValueIsRefusedWhereOneIsExpected(string option) =>
        Refused(Finetune(option + "=", "--json"), $"{option} \"\"", "expected");
}
