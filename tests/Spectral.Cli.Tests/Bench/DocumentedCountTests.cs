using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Bench;

/// <summary>The commands that docs/your-own-kernel.md shows print what it shows.</summary>
public sealed class DocumentedCountTests
{
    private static readonly string[] Arguments =
    [
        "count",
        "--ptx",
        Path.Combine(TestContext.CurrentContext.TestDirectory, "transpose.ptx"),
    ];

    [Test]
    public void TheDocumentShowsLinesOfItsCommand()
    {
        string[] command = Block("artifacts/bin/spectral-bench count --ptx transpose.ptx ")
            .Replace("\\\n", "")
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        string[] shown = Lines(Block("global_read_sectors"));
        Assert.That(shown, Has.Length.EqualTo(7));
        Assert.That(
            shown,
            Is.SubsetOf(Lines(CommandLine.RunBench([.. Arguments, .. command.Skip(4)]).Succeeded().Output))
        );
    }

    [Test]
    public void TheDocumentShowsTheErrorOfAnAccessBeyondABuffer()
    {
        string shown = string.Join(' ', Lines(Block("kernel transpose, block")));
        string[] launch = "--entry transpose --grid 2,2 --block 32,32".Split(' ');
        string[] arguments = "--arg buf:f32:1000:zeros buf:f32:1056:iota i32:33 i32:32".Split(' ');
        string error = CommandLine.RunBench([.. Arguments, .. launch, .. arguments]).Error.Trim();
        Assert.That(WithoutAddress(error), Does.EndWith(WithoutAddress(shown)));
    }

    private static string[] Lines(string text) =>
        text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static string WithoutAddress(string text) => Regex.Replace(text, "0x[0-9a-f]+", "0x");

    /// <summary>The indented block of the document that has the text.</summary>
    private static string Block(string text, [CallerFilePath] string path = "")
    {
        string document = Path.Combine(Path.GetDirectoryName(path)!, "../../../docs/your-own-kernel.md");
        if (!File.Exists(document))
            Assert.Ignore("the source tree is not on this machine");
        return File.ReadAllText(document)
            .Split("\n\n")
            .Single(block => block.StartsWith("    ", StringComparison.Ordinal) && block.Contains(text));
    }
}
