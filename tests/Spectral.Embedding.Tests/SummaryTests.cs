using System.Xml.Linq;

namespace Spectral.Embedding.Tests;

/// <summary>The summaries of the libraries stand alone, as an editor shows them.</summary>
public sealed class SummaryTests
{
    private const int FewestWords = 4;

    [Test]
    public void NoSummaryIsALabel() =>
        Assert.That(
            from member in LibraryDocumentation.Members()
            let summary = member.Text.Element("summary")
            where summary is not null && Words(summary) < FewestWords
            select $"{member.Name}: {summary.Value.Trim()}",
            Is.Empty
        );

    private static int Words(XElement summary) =>
        string.Concat(summary.Nodes().Select(Text)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length;

    // A reference has no text of its own and counts as one word.
    private static string Text(XNode node) =>
        node switch
        {
            XElement { IsEmpty: true } => "reference",
            XElement element => element.Value,
            _ => node.ToString(),
        };
}
