using Spectral.Cli.Hosting;

namespace Spectral.Cli.Tests.Hosting;

/// <summary>Tests how text is broken into lines.</summary>
public sealed class WrappedTextTests
{
    [TestCase("one two three", 7, "one two|three")]
    [TestCase("one two three", 13, "one two three")]
    [TestCase("one two three", 12, "one two|three")]
    [TestCase("a longword b", 4, "a|longword|b")]
    [TestCase("", 10, "")]
    public void LinesAreAsLongAsTheyMayBe(string text, int width, string lines) =>
        Assert.That(string.Join('|', WrappedText.Lines(text, width)), Is.EqualTo(lines));
}
